import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '../..')
/** The commit that a run without one compares with; how it is moved is in CONTRIBUTING.md. */
const RECORDED = join(import.meta.dir, 'base')

/** A checkout of another commit, or why there is none. */
export type Base =
  | { readonly kind: 'checkout'; readonly root: string; readonly commit: string }
  | { readonly kind: 'none'; readonly reason: string }

/** The commit of `bench/compare/base`. */
export function recordedBase(): string {
  const [line = ''] = readFileSync(RECORDED, 'utf8').split('\n', 1)
  return line.trim()
}

/** Unpacks a commit of this repository into a folder, and installs its packages. The repository itself is not changed. */
export async function checkOut(commit: string, folder: string): Promise<Base> {
  const none = (reason: string): Base => ({ kind: 'none', reason })
  if (Bun.which('git') === null || !existsSync(join(ROOT, '.git'))) return none('this is no checkout of git')
  const found = await run(['git', 'rev-parse', '--verify', '--quiet', '--end-of-options', `${commit}^{commit}`], ROOT)
  if (found.code !== 0) {
    const isShallow = (await run(['git', 'rev-parse', '--is-shallow-repository'], ROOT)).output.trim() === 'true'
    return none(`${commit} is not in this clone${isShallow ? ', which is shallow: git fetch --unshallow' : ''}`)
  }
  const root = join(folder, 'base')
  mkdirSync(root)
  const hash = found.output.trim()
  const unpacked = await run(['sh', '-c', 'git archive --format=tar "$1" | tar -x -C "$2"', 'sh', hash, root], ROOT)
  if (unpacked.code !== 0 || !existsSync(join(root, 'package.json')))
    return none(`${commit} cannot be unpacked: ${unpacked.output}`)
  const installed = await run([process.execPath, 'install', '--frozen-lockfile'], root)
  if (installed.code !== 0) return none(`the packages of ${commit} cannot be installed: ${installed.output.slice(-300)}`)
  return { kind: 'checkout', root, commit: hash.slice(0, 10) }
}

/** This checkout by its commit, and whether files of it were changed since. */
export async function describeHere(): Promise<string> {
  const commit = (await run(['git', 'rev-parse', '--short=10', 'HEAD'], ROOT)).output.trim()
  const changed = (await run(['git', 'status', '--porcelain', '--untracked-files=no'], ROOT)).output.trim()
  return changed === '' ? commit : `${commit} with changes`
}

async function run(command: readonly string[], cwd: string) {
  const child = Bun.spawn([...command], { cwd, stdin: 'ignore', stdout: 'pipe', stderr: 'pipe' })
  const [out, error, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  return { code, output: code === 0 ? out : error }
}
