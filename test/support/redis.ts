import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { RedisClient } from 'bun'
import { freePort } from './free-port.ts'
import { hasTool, testWith } from './tools.ts'

/** A server of Redis that this process started, on a loopback address, which keeps nothing. */
export interface RedisServer extends AsyncDisposable {
  readonly url: string
  kill(): Promise<void>
  /** Starts it again after it was killed, with nothing in it. */
  restart(): Promise<void>
  /** Stops it where it is (`SIGSTOP`), or lets it go on. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
}

/** A test that needs Redis: skipped where it is not installed. */
export const redisTest = testWith('Redis', Bun.which('redis-server'))

/** Starts one, where Redis is installed; undefined, with a skipped test that says so, where it is not. */
export async function startRedis(): Promise<RedisServer | undefined> {
  const program = Bun.which('redis-server')
  if (!hasTool('Redis', program)) return undefined
  const folder = mkdtempSync(join(tmpdir(), 'vestal-redis-'))
  const port = await freePort()
  const flags = ['--bind', '127.0.0.1', '--port', String(port), '--save', '', '--appendonly', 'no', '--dir', folder]
  // It ends with the process that started it, however that one ends.
  const spawn = () =>
    Bun.spawn(['setpriv', '--pdeathsig', 'TERM', program, ...flags], { cwd: folder, stdout: 'ignore', stderr: 'ignore' })
  let child = spawn()
  const url = `redis://127.0.0.1:${port}`
  const isUp = async () => {
    const client = new RedisClient(url, { connectionTimeout: 500, autoReconnect: false })
    const answer = await client.send('PING', []).catch(() => undefined)
    client.close()
    return answer === 'PONG'
  }
  const untilUp = async () => {
    while (!(await isUp())) {
      if (child.exitCode !== null) throw new Error('Redis ended while it started')
      await Bun.sleep(20)
    }
  }
  await untilUp()
  const kill = async () => {
    child.kill('SIGKILL')
    await child.exited
  }
  return {
    url,
    kill,
    async restart() {
      child = spawn()
      await untilUp()
    },
    signal: (name) => child.kill(name),
    async [Symbol.asyncDispose]() {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
