'use strict'
// MQTT.js as a program: a command a line in, an answer a line out, as tests/integration/clients/program.py has it.
const mqtt = require('mqtt')
const readline = require('readline')

const VERSIONS = {
  '3.1': { protocolId: 'MQIsdp', protocolVersion: 3 },
  '3.1.1': { protocolId: 'MQTT', protocolVersion: 4 },
  '5.0': { protocolId: 'MQTT', protocolVersion: 5 }
}

const messages = [] // those that came before somebody waited
const waiting = [] // those who wait
let client = null
let version = ''

function binary (text) {
  return text === null ? undefined : Buffer.from(text, 'base64')
}

function userProperties (pairs) {
  const byName = {}
  for (const [name, value] of pairs) byName[name] = name in byName ? [].concat(byName[name], value) : value
  return pairs.length ? byName : undefined
}

function properties (message) {
  if (version !== '5.0') return undefined
  const all = {
    contentType: message.content_type,
    responseTopic: message.response_topic,
    correlationData: binary(message.correlation_data),
    messageExpiryInterval: message.message_expiry_interval,
    userProperties: userProperties(message.user_properties)
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined && value !== null))
}

function received (topic, payload, packet) {
  const said = packet.properties || {}
  const pairs = Object.entries(said.userProperties || {})
  return JSON.stringify({
    topic,
    payload: payload.toString('base64'),
    qos: packet.qos,
    retain: packet.retain,
    content_type: said.contentType ?? null,
    response_topic: said.responseTopic ?? null,
    correlation_data: said.correlationData ? said.correlationData.toString('base64') : null,
    message_expiry_interval: said.messageExpiryInterval ?? null,
    user_properties: pairs.flatMap(([name, values]) => [].concat(values).map(value => [name, value]))
  })
}

function open (argument) {
  const opening = JSON.parse(argument)
  version = opening.version
  const options = {
    ...VERSIONS[version],
    clientId: opening.client_id,
    clean: opening.clean,
    reconnectPeriod: 0,
    resubscribe: false
  }
  if (version === '5.0' && !opening.clean) options.properties = { sessionExpiryInterval: opening.expiry }
  if (opening.will !== null) {
    const will = JSON.parse(opening.will)
    const { topic, qos, retain } = will
    options.will = { topic, payload: binary(will.payload), qos, retain, properties: properties(will) }
  }
  messages.length = waiting.length = 0
  client = mqtt.connect(`${opening.websocket ? 'ws' : 'mqtt'}://127.0.0.1:${opening.port}/mqtt`, options)
  client.on('message', (topic, payload, packet) => {
    const message = received(topic, payload, packet)
    if (waiting.length) waiting.shift()(message)
    else messages.push(message)
  })
  return new Promise((resolve, reject) => {
    client.once('connect', connack => resolve(connack.sessionPresent ? 'True' : 'False'))
    client.once('error', reject)
  })
}

async function subscribe (argument) {
  const space = argument.indexOf(' ')
  const qos = Number(argument.slice(0, space))
  const [granted] = await client.subscribeAsync(argument.slice(space + 1), { qos })
  if (granted.qos !== qos) throw new Error(`granted QoS ${granted.qos}`)
  return ''
}

async function publish (argument) {
  const message = JSON.parse(argument)
  const { topic, qos, retain } = message
  await client.publishAsync(topic, binary(message.payload), { qos, retain, properties: properties(message) })
  return ''
}

function receive () {
  return messages.length ? messages.shift() : new Promise(resolve => waiting.push(resolve))
}

async function close () {
  await client.endAsync()
  return ''
}

async function serve () {
  const commands = { open, subscribe, publish, receive, close }
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [command] = line.split(' ', 1)
    const answer = await commands[command](line.slice(command.length + 1))
    process.stdout.write(`answer: ${answer}\n`)
  }
}

serve()
