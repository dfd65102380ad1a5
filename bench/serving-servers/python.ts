import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const CACHE = join(homedir(), '.cache', 'vestal-bench')

/** The Python of an environment with these packages, in the user's cache; nothing where there is no Python or they cannot be had. */
export async function pythonWith(name: string, packages: readonly string[]): Promise<string | undefined> {
  const python = Bun.which('python3')
  if (python === null) return undefined
  const hash = Bun.hash.crc32(packages.join(' ')).toString(16)
  const folder = join(CACHE, `${name}-${hash}`)
  const own = join(folder, 'bin', 'python')
  if (existsSync(join(folder, 'complete'))) return own
  mkdirSync(CACHE, { recursive: true })
  console.log(`installing ${name}, which takes some minutes the first time`)
  for (const command of [
    [python, '-m', 'venv', folder],
    [own, '-m', 'pip', 'install', '-q', ...packages],
  ]) {
    const child = Bun.spawn(command, { stdout: 'inherit', stderr: 'inherit' })
    if ((await child.exited) === 0) continue
    console.warn(`${name} cannot be installed here, and is left out`)
    rmSync(folder, { recursive: true, force: true })
    return undefined
  }
  writeFileSync(join(folder, 'complete'), '')
  return own
}

/** The versions of packages in an environment, for a report. */
export async function versionsOf(python: string, packages: readonly string[]): Promise<string> {
  const names = packages.map((each) => /^[\w.-]+/.exec(each)?.[0] ?? each)
  const program = 'import sys, importlib.metadata as m; print(", ".join(f"{n} {m.version(n)}" for n in sys.argv[1:]))'
  const child = Bun.spawn([python, '-c', program, ...names], { stdout: 'pipe', stderr: 'ignore' })
  return (await new Response(child.stdout).text()).trim()
}
