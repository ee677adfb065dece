from emqtwist.app.service import BrokerService
