'use strict'
// MQTT.js with Topic Aliases both ways: publishes two topics, three times each at each QoS, to its own subscription. That is
// of QoS 1, as MQTT.js 5.16 gives a QoS 2 message that came by alias an empty topic.
// Prints what came, and how many PUBLISH packets had no Topic Name on the wire.
const mqtt = require('mqtt')

const [port, receiving] = process.argv.slice(2).map(Number)
const TOPICS = ['measured/indoors', 'measured/outdoors']
const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
  protocolVersion: 5,
  reconnectPeriod: 0,
  autoAssignTopicAlias: true,
  properties: { topicAliasMaximum: receiving }
})
const bare = { sent: 0, received: 0 }
const messages = []

function count (direction) {
  return packet => {
    if (packet.cmd === 'publish' && packet.topic.length === 0) bare[direction] += 1
  }
}

client.on('packetsend', count('sent'))
client.on('packetreceive', count('received'))
client.on('error', error => { throw error })

async function publish () {
  const sent = []
  await client.subscribeAsync('measured/#', { qos: 1 })
  for (const qos of [0, 1, 2]) {
    for (let number = 0; number < 3; number++) {
      for (const topic of TOPICS) {
        sent.push(`${topic} ${Math.min(qos, 1)} ${number}`)
        await client.publishAsync(topic, String(number), { qos })
      }
    }
  }
  return sent
}

client.on('message', (topic, payload, packet) => {
  messages.push(`${topic} ${packet.qos} ${payload}`)
})

publish().then(async sent => {
  while (messages.length < sent.length) await new Promise(resolve => client.once('message', resolve))
  await client.endAsync()
  const same = JSON.stringify(messages) === JSON.stringify(sent)
  console.log(`result: ${JSON.stringify({ same, maximum: client.topicAliasSend.max, ...bare })}`)
})
