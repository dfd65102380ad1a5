/** `bun run build:package`: JavaScript and its types in `dist/`, a file for each of `src/`, as the package has them; `bun pm pack` runs it. */
import { chmodSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const ROOT = join(import.meta.dir, '..')
const SOURCE = join(ROOT, 'src')
const OUTPUT = join(ROOT, 'dist')
const SWAGGER_UI = dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'))
/** What /docs/ loads of Swagger UI, with its licences: laid beside the module that serves it, so the package does not depend on all of it. */
const SWAGGER_FILES = {
  'swagger-ui.css': 'swagger-ui.css',
  'swagger-ui-bundle.js': 'swagger-ui-bundle.js',
  'favicon-32x32.png': 'favicon-32x32.png',
  'swagger-ui-bundle.js.LICENSE.txt': 'swagger-ui-bundle.js.LICENSE.txt',
  LICENSE: 'swagger-ui-license.txt',
  NOTICE: 'swagger-ui-notice.txt',
}

function compile(): void {
  const command = [
    process.execPath,
    join(ROOT, 'node_modules/.bin/tsc'),
    '--project',
    join(import.meta.dir, 'tsconfig.package.json'),
  ]
  const { exitCode } = Bun.spawnSync(command, { stdio: ['ignore', 'inherit', 'inherit'] })
  if (exitCode !== 0) process.exit(exitCode)
}

/** Declarations name their neighbours as the JavaScript does: not every tool takes `.ts` for a declaration. */
function nameModules(): void {
  for (const name of new Bun.Glob('**/*.d.ts').scanSync(OUTPUT)) {
    const path = join(OUTPUT, name)
    const text = readFileSync(path, 'utf8')
    writeFileSync(path, text.replaceAll(/((?:\bfrom |\bimport\()(['"])\.{1,2}\/[^'"]*)\.ts\2/g, '$1.js$2'))
  }
}

/** Migrations, the WebAssembly module: all that is no source and that the program reads. */
function copyAssets(): void {
  for (const name of new Bun.Glob('**').scanSync(SOURCE)) {
    if (!/\.[jt]s$/.test(name) && !name.startsWith('wasm/crate/')) cpSync(join(SOURCE, name), join(OUTPUT, name))
  }
  const page = dirname([...new Bun.Glob('**/docs.js').scanSync(OUTPUT)][0] ?? '')
  for (const [name, beside] of Object.entries(SWAGGER_FILES)) cpSync(join(SWAGGER_UI, name), join(OUTPUT, page, beside))
}

rmSync(OUTPUT, { recursive: true, force: true })
compile()
nameModules()
copyAssets()
chmodSync(join(OUTPUT, 'cli/main.js'), 0o755)
