import {
  chmodSync,
  closeSync,
  cpSync,
  ftruncateSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signJwt } from '../../src/jose/sign.ts'
import { identityModel, onnxModel } from '../../test/support/tiny-models.ts'
import { onCore } from '../harness/cores.ts'
import { SECRET } from './plan.ts'
import { type StartedServer, stopGroup } from './start.ts'

const ROOT = join(import.meta.dir, '../..')
const START_MS_MAX = 120_000
const READ_EVERY_MS = 100
/** A log that is longer begins anew. */
const LOG_BYTES_MAX = 64 * 2 ** 20
const PERMISSIONS = ['my-permission-name', 'model:*:predict', 'model:*:read']

/** What servers that are started as README says share: the models; their data folders are below it. */
export interface UserPlace extends Disposable {
  readonly folder: string
  readonly models: string
}

export interface UserOptions {
  /** Checkout whose server it is; default this one. */
  readonly root?: string
  /** Whether it runs on the core of servers alone, as what it is compared with does; default false. */
  readonly isPinned?: boolean
  /** Flags beside those that give it a port and folders of its own. */
  readonly flags?: readonly string[]
}

export interface UserServer extends StartedServer {
  /** Milliseconds from its start until it was ready. */
  readonly readyMs: number
  /** Bytes of its log so far. */
  logBytes(): number
}

/** A temporary folder with the bundled models, one that gives back 8 MB, and one that takes pictures as tensors. */
export async function userPlace(): Promise<UserPlace> {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-bench-'))
  const models = join(folder, 'models')
  for (const { name } of readdirSync(join(ROOT, 'models'), { withFileTypes: true }).filter((entry) => entry.isDirectory())) {
    cpSync(join(ROOT, 'models', name), join(models, name), { recursive: true })
  }
  await Bun.write(join(models, 'same/1/model.onnx'), identityModel('FP32'))
  await Bun.write(join(models, 'picture/1/model.onnx'), pictureModel())
  return { folder, models, [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }) }
}

/** The means of the three colours of pictures: much to read, little to compute and to answer. */
function pictureModel(): Uint8Array {
  return onnxModel({
    nodes: [{ operator: 'GlobalAveragePool', inputs: ['x'], outputs: ['y'] }],
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 3, 224, 224] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n', 3, 1, 1] }],
  })
}

/** `Bearer …` with a token that every server here takes: their development secrets are that of the benches. */
export function bearer(claims: object = {}): string {
  return `Bearer ${signJwt({ sub: 'bench', data: { permissions: PERMISSIONS }, ...claims }, SECRET, { lifetimeSeconds: 7200 })}`
}

/** `bun run start` with default settings, on a free port, its log in a file that is read meanwhile. Gives it once it is ready. */
export async function startAsUser(
  name: string,
  place: UserPlace,
  { root = ROOT, flags = [], isPinned = false }: UserOptions = {},
): Promise<UserServer> {
  const own = mkdtempSync(join(place.folder, 'server-'))
  const [data, log] = [join(own, 'data'), join(own, 'log')]
  mkdirSync(data, { mode: 0o700 })
  writeFileSync(join(data, 'development-secret'), `${Buffer.from(SECRET).toString('base64url')}\n`)
  chmodSync(join(data, 'development-secret'), 0o600)
  const begun = performance.now()
  const command = [
    process.execPath,
    'run',
    '--silent',
    'start',
    '--port',
    '0',
    '--models',
    place.models,
    '--data',
    data,
    ...flags,
  ]
  // The shell appends, so that the log may begin anew while it is written.
  const logged = ['sh', '-c', 'exec "$@" >> "$0" 2>&1', log, ...command]
  const child = Bun.spawn(isPinned ? onCore(0, logged) : logged, {
    cwd: root,
    env: { PATH: process.env.PATH ?? '', HOME: own },
    stdout: 'ignore',
    stderr: 'inherit',
    // A group of its own: it has processes of its own.
    detached: true,
  })
  endWithProgram(child)
  const reader = readLog(log)
  const stop = async () => {
    reader.stop()
    await stopGroup(child)
  }
  while (performance.now() - begun < START_MS_MAX && child.exitCode === null) {
    const base = /listens on (http:\/\/[^\s,"]+:\d+)/.exec(reader.first())?.[1]
    if (base !== undefined && (await isReady(base)))
      return { name, base, pid: child.pid, readyMs: performance.now() - begun, logBytes: reader.bytes, stop }
    await Bun.sleep(2)
  }
  const printed = reader.first().slice(-2000)
  await stop()
  throw new Error(`${name} did not start within ${START_MS_MAX / 1000} s: ${printed}`)
}

async function isReady(base: string): Promise<boolean> {
  try {
    return (await fetch(`${base}/v2/health/ready`)).ok
  } catch {
    // It does not listen yet.
    return false
  }
}

/** Reads a log as it grows, as a collector does, and keeps its beginning. */
function readLog(path: string) {
  const file = openSync(path, 'a+')
  const chunk = Buffer.alloc(2 ** 20)
  let [at, bytes, first] = [0, 0, '']
  const read = () => {
    for (let count = readSync(file, chunk, 0, chunk.length, at); count > 0; count = readSync(file, chunk, 0, chunk.length, at)) {
      if (first.length < 100_000) first += chunk.toString('utf8', 0, count)
      at += count
      bytes += count
    }
    if (at <= LOG_BYTES_MAX) return
    ftruncateSync(file)
    at = 0
  }
  const timer = setInterval(read, READ_EVERY_MS)
  timer.unref()
  return {
    first: () => {
      read()
      return first
    },
    bytes: () => {
      read()
      return bytes
    },
    stop: () => {
      clearInterval(timer)
      read()
      closeSync(file)
    },
  }
}

/** Servers in groups of their own, which get no Ctrl-C. */
const groups = new Set<Bun.Subprocess>()

/** Ends a server with this program, where it ends in the middle. */
function endWithProgram(child: Bun.Subprocess): void {
  if (groups.size === 0) {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
    process.once('exit', () => {
      for (const each of groups) killGroup(each)
    })
  }
  groups.add(child)
  void child.exited.then(() => groups.delete(child))
}

function killGroup({ pid }: Bun.Subprocess): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nothing of it is left.
  }
}
