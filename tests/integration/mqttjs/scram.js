'use strict'
// MQTT.js logs in by SCRAM-SHA-256: node scram.js PORT USER PASSWORD; prints how that ended. It knows SCRAM from RFC 5802 alone.
const crypto = require('crypto')
const mqtt = require('mqtt')

const [port, user, password] = process.argv.slice(2)
const authenticationMethod = 'SCRAM-SHA-256'
const nonce = crypto.randomBytes(18).toString('base64')
const first = `n=${user.replace(/=/g, '=3D').replace(/,/g, '=2C')},r=${nonce}`
let signature = ''

function hmac (key, text) {
  return crypto.createHmac('sha256', key).update(text).digest()
}

function proof (question) {
  const [, combined, salt, iterations] = /^r=([^,]+),s=([^,]+),i=(\d+)$/.exec(question)
  if (!combined.startsWith(nonce) || combined === nonce) throw new Error('not our nonce')
  const salted = crypto.pbkdf2Sync(password, Buffer.from(salt, 'base64'), Number(iterations), 32, 'sha256')
  const clientKey = hmac(salted, 'Client Key')
  const storedKey = crypto.createHash('sha256').update(clientKey).digest()
  const last = `c=biws,r=${combined}`
  const all = `${first},${question},${last}`
  signature = hmac(hmac(salted, 'Server Key'), all).toString('base64')
  const own = hmac(storedKey, all).map((byte, index) => byte ^ clientKey[index])
  return `${last},p=${own.toString('base64')}`
}

function end (text) {
  console.log(text)
  client.end(true)
}

const client = mqtt.connect(`mqtt://127.0.0.1:${port}`, {
  protocolVersion: 5,
  clientId: 'scram',
  reconnectPeriod: 0,
  properties: { authenticationMethod, authenticationData: Buffer.from(`n,,${first}`) }
})
client.handleAuth = (packet, callback) => {
  const answer = Buffer.from(proof(packet.properties.authenticationData.toString()))
  callback(null, { cmd: 'auth', reasonCode: 0x18, properties: { authenticationMethod, authenticationData: answer } })
}
client.on('connect', async connack => {
  const { authenticationMethod: method, authenticationData: data } = connack.properties
  if (method !== authenticationMethod || data.toString() !== `v=${signature}`) return end('the server has not proved itself')
  await client.subscribeAsync('a', { qos: 1 })
  const received = new Promise(resolve => client.on('message', (topic, payload) => resolve(payload)))
  await client.publishAsync('a', 'a message', { qos: 1 })
  end(`logged in, and got ${await received}`)
})
client.on('error', error => end(`refused: ${error.code}`))
