"""Who a client is: the methods behind the seam `emqtwist.core.access`, a file each."""
