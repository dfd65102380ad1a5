import { cpSync, existsSync, mkdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'

const CACHE = join(homedir(), '.cache', 'vestal-bench')

interface Recipe {
  readonly folder: 'axum' | 'go' | 'axum-ort'
  readonly tool: 'cargo' | 'go'
  readonly command: readonly string[]
  /** Where the program is after that, from the folder it is built in. */
  readonly program: string
}

const RECIPES: readonly Recipe[] = [
  {
    folder: 'axum',
    tool: 'cargo',
    command: ['cargo', 'build', '--quiet', '--release'],
    program: 'target/release/vestal-bench-axum',
  },
  {
    folder: 'axum-ort',
    tool: 'cargo',
    command: ['cargo', 'build', '--quiet', '--release'],
    program: 'target/release/vestal-bench-axum-ort',
  },
  { folder: 'go', tool: 'go', command: ['go', 'build', '-o', 'bench', '.'], program: 'bench' },
]

/** Builds a server of another language in the user's cache, once for each state of its source; nothing where its tool is missing. */
export async function build(folder: Recipe['folder']): Promise<string | undefined> {
  const recipe = RECIPES.find((one) => one.folder === folder)
  if (recipe === undefined || Bun.which(recipe.tool) === null) return undefined
  const source = join(import.meta.dir, folder === 'axum-ort' ? '../serving-servers' : '.', folder)
  const hash = new Bun.CryptoHasher('sha256')
  for (const file of [...new Bun.Glob('**/*').scanSync(source)].sort()) hash.update(file).update(readFileSync(join(source, file)))
  const work = join(CACHE, `${folder}-${hash.digest('hex').slice(0, 16)}`)
  const program = join(work, recipe.program)
  if (existsSync(program)) return program
  mkdirSync(work, { recursive: true })
  cpSync(source, work, { recursive: true })
  console.log(`building ${folder}, which takes some minutes the first time`)
  const child = Bun.spawn([...recipe.command], { cwd: work, stdout: 'inherit', stderr: 'inherit' })
  if ((await child.exited) === 0) return program
  console.warn(`${folder} cannot be built here, and is left out`)
  return undefined
}
