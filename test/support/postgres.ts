import { spawnSync } from 'node:child_process'
import { chownSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SQL } from 'bun'
import { freePort } from './free-port.ts'
import { hasTool, testWith } from './tools.ts'

/** Folder of Postgres's programs: Debian keeps them by version, outside of the path. */
function programs(): string | undefined {
  const onPath = Bun.which('initdb')
  if (onPath !== null) return join(onPath, '..')
  const versions = '/usr/lib/postgresql'
  try {
    const [newest] = readdirSync(versions).sort((one, other) => Number(other) - Number(one))
    return newest === undefined ? undefined : join(versions, newest, 'bin')
  } catch {
    return undefined
  }
}

/** A server of Postgres that this process started, on a loopback address, with its data in a temporary folder. */
export interface PostgresServer {
  /** Makes a database and gives its address. */
  createDatabase(): Promise<string>
  /** Stops the server at once, as a failure would; `start` starts it again with its data. */
  kill(): Promise<void>
  start(): Promise<void>
  /** Stops all of its processes where they are (`SIGSTOP`), or lets them go on. */
  signal(name: 'SIGSTOP' | 'SIGCONT'): void
}

/** Postgres will not run as root, so it runs as the user that Debian's package made. */
function asPostgres(command: readonly string[]): string[] {
  const { uid, gid } = postgresUser()
  // It ends with the process that started it, however that one ends.
  const tied = ['setpriv', '--pdeathsig', 'INT']
  return uid === undefined
    ? [...tied, ...command]
    : [...tied, '--reuid', uid, '--regid', gid ?? uid, '--clear-groups', ...command]
}

function postgresUser(): { uid?: string; gid?: string } {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string) => spawnSync('id', [flag, 'postgres']).stdout.toString().trim()
  return { uid: id('-u'), gid: id('-g') }
}

const PREFIX = 'vestal-postgres-'

/** A process of tests that was ended could not clear up after itself; the next one does. */
function removeLeftovers(): void {
  for (const name of readdirSync(tmpdir()).filter((entry) => entry.startsWith(PREFIX))) {
    const pid = Number(/^(\d+)-/.exec(name.slice(PREFIX.length))?.[1])
    if (Number.isInteger(pid) && !isAlive(pid)) rmSync(join(tmpdir(), name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    // There is no process of that number.
    return false
  }
}

async function startServer(bin: string): Promise<PostgresServer> {
  removeLeftovers()
  const folder = mkdtempSync(join(tmpdir(), `${PREFIX}${process.pid}-`))
  const { uid, gid } = postgresUser()
  if (uid !== undefined) chownSync(folder, Number(uid), Number(gid))
  const data = join(folder, 'data')
  const run = (command: readonly string[]) => {
    const { exitCode, stderr } = Bun.spawnSync(asPostgres(command), { cwd: folder })
    if (exitCode !== 0) throw new Error(`${command[0]}: ${stderr.toString()}`)
  }
  run([join(bin, 'initdb'), '-D', data, '-U', 'vestal', '-A', 'trust', '-E', 'UTF8', '--no-sync'])
  const port = await freePort()
  let child: Bun.Subprocess | undefined
  process.on('exit', () => {
    child?.kill('SIGINT')
    rmSync(folder, { recursive: true, force: true })
  })
  const urlOf = (database: string) => `postgres://vestal@127.0.0.1:${port}/${database}`
  const start = async () => {
    const flags = ['-h', '127.0.0.1', '-p', String(port), '-k', '', '-c', 'max_connections=60', '-c', 'shared_buffers=16MB']
    child = Bun.spawn(asPostgres([join(bin, 'postgres'), '-D', data, ...flags]), {
      cwd: folder,
      stdout: 'ignore',
      stderr: 'ignore',
    })
    for (;;) {
      const client = new SQL(urlOf('postgres'), { max: 1, connectionTimeout: 2 })
      try {
        await client`SELECT 1`
        return
      } catch {
        // Not up yet: the loop asks again, and ends with the server.
        if (child.exitCode !== null) throw new Error('Postgres ended while it started')
      } finally {
        await client.close()
      }
      await Bun.sleep(20)
    }
  }
  await start()
  let count = 0
  return {
    start,
    signal(name) {
      const main = child?.pid
      if (main === undefined) return
      for (const pid of [main, ...childrenOf(main)]) process.kill(pid, name)
    },
    async kill() {
      child?.kill('SIGQUIT')
      await child?.exited
    },
    async createDatabase() {
      count += 1
      const name = `test_${count}_${process.pid}`
      const client = new SQL(urlOf('postgres'), { max: 1 })
      await client.unsafe(`CREATE DATABASE ${name}`)
      await client.close()
      return urlOf(name)
    },
  }
}

/** Processes that this one started, on Linux. */
function childrenOf(pid: number): readonly number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
  return text.split(' ').filter(Boolean).map(Number)
}

/** One server for all test files of this process. */
const SHARED = Symbol.for('vestal test postgres')
const shared = globalThis as unknown as { [SHARED]?: Promise<PostgresServer> }

/** True where Postgres is installed. */
export function isPostgresHere(): boolean {
  return programs() !== undefined
}

/** A test that needs Postgres: skipped where it is not installed. */
export const postgresTest = testWith('Postgres', programs())

/** True where Postgres is installed; a skipped test says so where it is not. */
export function hasPostgres(): boolean {
  return hasTool('Postgres', programs())
}

/** The server, which the first who asks starts. */
export function postgresServer(): Promise<PostgresServer> {
  shared[SHARED] ??= startServer(programs() ?? '')
  return shared[SHARED]
}

/** A server of one's own, to be killed. */
export function ownPostgresServer(): Promise<PostgresServer> | undefined {
  return hasPostgres() ? startServer(programs() ?? '') : undefined
}
