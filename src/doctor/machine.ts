import { readFileSync, statfsSync } from 'node:fs'
import { totalmem } from 'node:os'
import { dirname, resolve } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { findModels } from '../inference/repository/scan.ts'
import { usableCores } from '../platform/cores.ts'
import { usableBytes } from '../platform/memory.ts'
import { processCount } from '../server/cluster/process-settings.ts'
import { type Finding, note, orRight, right, type Subject, wrong } from './finding.ts'

/** What the machine says of itself; a test says something else. */
export interface Machine {
  readonly bunVersion: string
  readonly openFilesMax: number | undefined
  readonly freeBytes: (path: string) => number | undefined
  readonly memoryBytes: number
  readonly cores: number
}

/** Below it a busy server runs out: a connection is a file. */
const OPEN_FILES_MIN = 4096
/** Room for the audit log, which takes 96 MiB, the database and its log. */
const FREE_BYTES_MIN = 256 * 1024 * 1024
/** What the server takes before any model. */
const BASE_BYTES = 160 * 1024 * 1024
/** What a supervisor of several processes takes, and each of those that answer HTTP; the models are in a process of their own. */
const SUPERVISOR_BYTES = 96 * 1024 * 1024
const HTTP_BYTES = 128 * 1024 * 1024
/** Memory of a worker besides the model's weights. */
const WORKER_BYTES = 24 * 1024 * 1024

/** Bun's version: the one that this was made for, or a newer one. */
export function lookAtBun(_: Subject, { bunVersion }: Pick<Machine, 'bunVersion'> = thisMachine()): readonly Finding[] {
  const { bun: needed } = manifest.engines
  if (Bun.semver.satisfies(bunVersion, needed)) return [right(`${bunVersion}`)]
  return [wrong(`this is Bun ${bunVersion}, and Vestal needs ${needed}`, 'npm install -g bun@1.4.5')]
}

/** How many files and connections may be open at once. */
export function lookAtOpenFiles(_: Subject, { openFilesMax }: Pick<Machine, 'openFilesMax'> = thisMachine()): readonly Finding[] {
  if (openFilesMax === undefined) return [note('how many files may be open is not known on this system')]
  if (openFilesMax >= OPEN_FILES_MIN) return [right(`${openFilesMax} may be open at once`)]
  return [
    wrong(
      `only ${openFilesMax} files and connections may be open at once`,
      `ulimit -n 65536, LimitNOFILE=65536 in a systemd unit, or --ulimit nofile=65536 of a container.`,
    ),
  ]
}

/** Room on the disks of the data folder and of temporary files. */
export function lookAtDisk({ settings }: Subject, { freeBytes }: Pick<Machine, 'freeBytes'> = thisMachine()): readonly Finding[] {
  const free = freeBytes(settings.data)
  if (free === undefined) return [note('how much room the disk has is not known on this system')]
  if (free >= FREE_BYTES_MIN) return [right(`${mebibytes(free)} are free for the data folder`)]
  return [
    wrong(
      `only ${mebibytes(free)} are free for the data folder ${settings.data}`,
      'Make room, or name a folder on another disk with --data: sign-ins and the audit log fail on a full disk.',
    ),
  ]
}

/** Whether processes, the workers of models, their threads and copies of the weights fit into what the container, or the machine, gives. */
export function lookAtResources(
  { settings }: Subject,
  { memoryBytes, cores }: Pick<Machine, 'memoryBytes' | 'cores'> = thisMachine(),
): readonly Finding[] {
  const { models, model, instances = 1, threads = 1 } = settings
  const found = findModels({ modelsDirectory: models, files: model, warn: () => undefined })
  const workers = found.flatMap(({ file, versions }) =>
    versions
      .filter(({ leftOut, reason }) => leftOut === undefined && reason === undefined)
      .map(({ path }) => ({ path, count: file.settings.instances ?? instances })),
  )
  const engineBytes = workers.reduce((sum, { path, count }) => sum + count * (Bun.file(path).size + WORKER_BYTES), BASE_BYTES)
  const processes = processCount(settings, cores)
  // A roll has one more, beside those that it replaces.
  const neededBytes = processes === 1 ? engineBytes : SUPERVISOR_BYTES + (processes + 1) * HTTP_BYTES + engineBytes
  const findings: Finding[] = []
  if (neededBytes > memoryBytes) {
    const [who, less] =
      processes === 1
        ? ['the models need', 'Give more memory,']
        : [
            `the models, ${processes} processes, and one more while they are replaced, need`,
            'Give more memory, fewer --processes,',
          ]
    findings.push(
      wrong(
        `${who} about ${mebibytes(neededBytes)} of memory, and there are ${mebibytes(memoryBytes)}`,
        `${less} fewer --instances, or fewer models: each worker has a copy of the weights.`,
      ),
    )
  }
  if (instances * threads > cores && (settings.instances !== undefined || settings.threads !== undefined)) {
    findings.push(
      wrong(
        `${instances} workers a model with ${threads} threads each are more than the ${cores} cores here`,
        'Lower --instances or --threads, or leave them out; vestal models check FILE.onnx measures what is fastest.',
      ),
    )
  }
  return orRight(findings, `${mebibytes(memoryBytes)} of memory for about ${mebibytes(neededBytes)}, and ${cores} cores`)
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 1024 / 1024)} MiB`
}

/** This machine, or its container. */
function thisMachine(): Machine {
  return {
    bunVersion: Bun.version,
    openFilesMax: openFilesMax(),
    freeBytes,
    memoryBytes: usableBytes(totalmem()),
    cores: usableCores(),
  }
}

function openFilesMax(): number | undefined {
  try {
    const [, soft] = /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
    return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
  } catch {
    // No such file: another system than Linux.
    return undefined
  }
}

/** Of the nearest folder that is there. */
function freeBytes(path: string): number | undefined {
  const folder = resolve(path)
  try {
    const { bavail, bsize } = statfsSync(folder)
    return bavail * bsize
  } catch {
    return dirname(folder) === folder ? undefined : freeBytes(dirname(folder))
  }
}
