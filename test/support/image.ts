import { chownSync, cpSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { contextFilter, type Instruction, type Stage } from './dockerfile.ts'

/** Runs a command to its end. @throws Error with what it said where it fails */
function run(command: readonly string[], cwd: string): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync([...command], { cwd })
  if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${stderr.toString()}`)
  return stdout.toString()
}

/** Copies what a build would be given: the project's files, without those that its list leaves out. */
export function copyContext(project: string, context: string, ignore: string): void {
  const isKept = contextFilter(ignore)
  const files = run(['git', 'ls-files', '--cached', '--others', '--exclude-standard'], project).trim().split('\n')
  for (const file of files.filter(isKept)) {
    mkdirSync(dirname(join(context, file)), { recursive: true })
    cpSync(join(project, file), join(context, file))
  }
}

/** Folders of the stages that were built, by name. */
type Built = ReadonlyMap<string, string>

/**
 * Does in a folder what a stage does in its image: COPY, WORKDIR and RUN, with absolute paths inside the folder. What the image that it starts
 * from holds is this machine's.
 */
export function buildStage(
  stage: Stage,
  root: string,
  { context, built }: { readonly context: string; readonly built: Built },
): void {
  let workplace = root
  const inside = (path: string) => (path.startsWith('/') ? join(root, path) : join(workplace, path))
  for (const { name, text } of stage.instructions) {
    if (name === 'WORKDIR') {
      workplace = inside(text)
      mkdirSync(workplace, { recursive: true })
    } else if (name === 'COPY') copy({ name, text }, { inside, context, built })
    else if (name === 'RUN') run(['sh', '-c', text.replaceAll(/(?<=^|\s)\/(?=[a-z])/g, `${root}/`)], workplace)
  }
}

function copy(
  { text }: Instruction,
  { inside, context, built }: { readonly inside: (path: string) => string; readonly context: string; readonly built: Built },
): void {
  const words = text.split(/\s+/)
  const flags = new Map(words.filter((word) => word.startsWith('--')).map((word) => word.slice(2).split('=') as [string, string]))
  const paths = words.filter((word) => !word.startsWith('--'))
  const to = paths.pop() ?? ''
  const from = flags.get('from')
  const base = from === undefined ? context : (built.get(from) ?? '')
  for (const path of paths) {
    const source = join(base, path)
    const target = to.endsWith('/') ? join(inside(to), basename(path)) : inside(to)
    mkdirSync(dirname(target), { recursive: true })
    cpSync(source, target, { recursive: true, preserveTimestamps: true })
    const [user, group] = (flags.get('chown') ?? '').split(':').map(Number)
    if (user !== undefined && group !== undefined && user > 0) chownSync(target, user, group)
  }
}

/** Copies the shared libraries that programs of an image need, and gives their names: the image that it starts from must have them. */
export function copyLibraries(root: string, programs: readonly string[]): readonly string[] {
  const listed = programs.flatMap((program) => run(['ldd', join(root, program)], root).split('\n'))
  const paths = new Set(
    listed.flatMap((line) => /(?:=> |^\s*)(\/\S+) \(0x/.exec(line)?.[1] ?? []).filter((path) => !path.startsWith(root)),
  )
  for (const path of paths) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    cpSync(path, join(root, path), { dereference: true })
  }
  return [...paths].map((path) => basename(path)).sort()
}

/** Every file under a folder, with its size. */
export function filesUnder(root: string): ReadonlyMap<string, number> {
  const names = readdirSync(root, { recursive: true }).map(String)
  return new Map(
    names
      .map((name) => [name, statSync(join(root, name))] as const)
      .flatMap(([name, stat]) => (stat.isFile() ? [[name, stat.size]] : [])),
  )
}

/**
 * Mounts a folder as a root that is read-only outside of its data folder, and becomes its program there, as process 1 and as a user. Of what
 * a container has in /dev it has the null device alone, and no /dev/shm: some run without it.
 */
const AS_ROOT = `set -e
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount --bind "$1/data" "$1/data"
mount -t tmpfs -o mode=755 tmpfs "$1/dev"
mknod -m 666 "$1/dev/null" c 1 3
mount -o remount,ro "$1/dev"
mount -o remount,ro,bind "$1"
root=$1 user=$2
shift 2
exec chroot --userspec="$user" --groups= "$root" "$@"`

/** The command that runs a program in an image. */
export function inImage(root: string, user: string, command: readonly string[]): string[] {
  return ['unshare', '--mount', '--pid', '--fork', '--kill-child', 'sh', '-c', AS_ROOT, 'sh', root, user, ...command]
}

/** True where this process may mount and become somebody else. */
export function mayMount(): boolean {
  if (process.getuid?.() !== 0 || Bun.which('unshare') === null || Bun.which('chroot') === null) return false
  return Bun.spawnSync(['unshare', '--mount', '--pid', '--fork', 'sh', '-c', 'mount -t proc proc /proc']).exitCode === 0
}
