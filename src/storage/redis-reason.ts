import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'

const TIMEOUT_MS = 1000
const REPLY_BYTES_MAX = 512
const PORT = 6379

/**
 * Why a Redis cannot be used, in words that hold neither its address nor its password. The client itself says "Connection closed" for a closed
 * port and for a wrong password alike, so this asks once more by hand.
 */
export async function reasonOfRedis(address: string, timeoutMs = TIMEOUT_MS): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>()
  const url = new URL(address)
  const socket = open(url)
  let reply = ''
  let isConnected = false
  socket.on('connect', () => {
    isConnected = true
  })
  const commands = greeting(url)
  socket.write(commands.join(''))
  socket.on('data', (chunk: Buffer) => {
    reply += chunk.toString('latin1')
    const lines = reply.split('\r\n').slice(0, -1)
    const failed = lines.find((line) => !line.startsWith('+'))
    if (failed !== undefined || lines.length >= commands.length || reply.length > REPLY_BYTES_MAX)
      resolve(reasonOfReply(failed ?? reply))
  })
  socket.on('error', (error) => resolve(reasonOfError(error, isConnected)))
  socket.on('close', () => resolve(isConnected ? 'it closes the connection' : 'nothing listens at its address'))
  const timer = setTimeout(() => resolve('it does not answer'), timeoutMs)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    socket.destroy()
  }
}

function open({ protocol, hostname, port, pathname }: URL): Socket {
  if (protocol.includes('unix')) return connect({ path: decodeURIComponent(hostname + pathname) })
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const at = { host, port: port === '' ? PORT : Number(port) }
  const isTls = protocol === 'rediss:' || protocol === 'valkeys:' || protocol.includes('tls')
  return isTls ? connectTls({ ...at, ...(isIP(host) === 0 && { servername: host }) }) : connect(at)
}

/** What a client begins with: who it is, where its address says so, and a question. */
function greeting({ username, password }: URL): readonly string[] {
  if (password === '') return [command(['PING'])]
  const names = username === '' ? [] : [decodeURIComponent(username)]
  return [command(['AUTH', ...names, decodeURIComponent(password)]), command(['PING'])]
}

/** A command in RESP, the protocol of Redis. */
function command(words: readonly string[]): string {
  return `*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`
}

function reasonOfReply(reply: string): string {
  if (/^-(?:WRONGPASS|NOAUTH|ERR invalid password)/.test(reply)) return 'it rejects the user or the password of its address'
  if (reply.startsWith('-NOPERM')) return 'its user may not run the commands that are needed'
  if (reply.startsWith('-')) return `it answers ${/^-([A-Z]{1,20})/.exec(reply)?.[1] ?? 'an error'}`
  return /^[+$:*]/.test(reply) ? 'it answered late, or not as expected' : 'what answers at its address is no Redis'
}

function reasonOfError(error: Error, isConnected: boolean): string {
  const code = 'code' in error ? String(error.code) : ''
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN' || code.startsWith('DNS_')) return 'the name of its host is not known'
  if (code === 'ECONNREFUSED' || code === 'ENOENT') return 'nothing listens at its address'
  if (/CERT|SSL|TLS|VERIFY|SELF_SIGNED/.test(code)) return 'its TLS certificate is not accepted, or it speaks no TLS'
  return isConnected ? 'it closes the connection' : 'it cannot be reached'
}
