import { lstatSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const NAME = /^vestal-(?:doctor|engine|model)-(\d+)-(\d+)-(\d+)-/

/** Makes a folder of temporary files that only this user can read. Its name says whose it is: `removeLeftFolders` removes it where that process is gone. */
export function createTemporaryFolder(kind: 'doctor' | 'engine' | 'model', parent = tmpdir()): string {
  return mkdtempSync(join(parent, `vestal-${kind}-${namespace()}-${process.pid}-${beginOf(process.pid) ?? 0}-`))
}

/** Removes folders of temporary files whose process was killed before it could. */
export function removeLeftFolders(): void {
  let names: readonly string[]
  try {
    names = readdirSync(tmpdir())
  } catch {
    // No folder for temporary files, so none was left in it.
    return
  }
  for (const name of names) {
    const [, space, pid, begin] = NAME.exec(name) ?? []
    const path = join(tmpdir(), name)
    // A process of another container cannot be seen from here; and what another user may change could lead anywhere while it is removed.
    if (space !== namespace() || isThere(Number(pid), Number(begin)) || !isOwn(path)) continue
    rmSync(path, { recursive: true, force: true })
  }
}

function isOwn(path: string): boolean {
  const stat = lstatSync(path, { throwIfNoEntry: false })
  return stat?.isDirectory() === true && stat.uid === process.getuid?.() && (stat.mode & 0o077) === 0
}

function isThere(pid: number, begin: number): boolean {
  const now = beginOf(pid)
  if (now !== undefined) return now === begin
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** When a process began, in the system's own unit: another one may have its id since. Undefined where the system does not say. */
function beginOf(pid: number): number | undefined {
  try {
    // The name of a program may hold anything, so what comes after its last bracket is read.
    return Number(readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ')[19])
  } catch {
    return undefined
  }
}

/** Number of the PID namespace; 0 where the system has only one. */
function namespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0'
  } catch {
    return '0'
  }
}
