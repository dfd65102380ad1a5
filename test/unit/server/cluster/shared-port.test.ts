import { describe, expect, test } from 'bun:test'
import { duplicate } from '../../../../src/platform/c-library.ts'
import { rejectTakenPort } from '../../../../src/platform/taken-port.ts'
import { createAdoptedListener, openListeningSocket } from '../../../../src/server/cluster/shared-port.ts'
import { HAS_PROCESSES } from '../../../support/processes.ts'

const INSIDE = { hostname: '127.0.0.1', port: 0 }

function startServer(name: string) {
  const server = Bun.serve({ ...INSIDE, fetch: () => new Response(name) })
  return { server, listener: createAdoptedListener({ port: server.port ?? 0 }) }
}

describe.skipIf(!HAS_PROCESSES)('a listening socket', () => {
  for (const hostname of ['127.0.0.1', '::1', '0.0.0.0']) {
    test(`of ${hostname} replaces the socket of a Bun server`, async () => {
      const socket = openListeningSocket({ hostname, port: 0 })
      const { server, listener } = startServer('one')
      const { port: before } = server
      listener.adopt(duplicate(socket.descriptor))
      const name = hostname === '0.0.0.0' ? '127.0.0.1' : hostname.includes(':') ? `[${hostname}]` : hostname
      expect(await (await fetch(`http://${name}:${socket.port}/`)).text()).toBe('one')
      expect(fetch(`http://127.0.0.1:${before}/`)).rejects.toThrow()
      await server.stop(true)
      socket.close()
    })
  }

  test('keeps pending connections for the next process that accepts', async () => {
    const socket = openListeningSocket(INSIDE)
    const [one, two] = [startServer('one'), startServer('two')]
    one.listener.adopt(duplicate(socket.descriptor))
    const ask = async () => (await fetch(`http://127.0.0.1:${socket.port}/`, { keepalive: false })).text()
    expect(await ask()).toBe('one')
    one.listener.stopAccepting()
    one.listener.stopAccepting()
    const waiting = Promise.all([ask(), ask(), ask()])
    two.listener.adopt(duplicate(socket.descriptor))
    expect(await waiting).toEqual(['two', 'two', 'two'])
    two.listener.stopAccepting()
    one.listener.adopt(duplicate(socket.descriptor))
    expect([await ask(), one.listener.isAccepting, two.listener.isAccepting]).toEqual(['one', true, false])
    for (const { server } of [one, two]) await server.stop(true)
    socket.close()
  })

  test('closes with the last process that has it open, which frees its port', async () => {
    const socket = openListeningSocket(INSIDE)
    const address = { hostname: '127.0.0.1', port: socket.port }
    expect(() => rejectTakenPort(address)).toThrow()
    const other = openListeningSocket(address)
    socket.close()
    expect(() => rejectTakenPort(address)).toThrow()
    other.close()
    expect(rejectTakenPort(address)).toBeUndefined()
  })
})
