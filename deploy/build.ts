/** `bun run build`: the server as an executable with its native libraries beside it, in `build/` or in the folder that is named. */
import { cpSync, mkdirSync, readdirSync, rmSync, statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, resolve } from 'node:path'
import type { BunPlugin } from 'bun'

const ROOT = join(import.meta.dir, '..')
const resolveFrom = createRequire(import.meta.url).resolve
const inPackage = (name: string, ...path: readonly string[]) => join(dirname(resolveFrom(`${name}/package.json`)), ...path)

/** Files that the program reads beside its own: they are put into the executable, where its modules look for them. */
const ASSETS = [
  join(ROOT, 'src/storage/migrations'),
  join(ROOT, 'src/wasm/signatures.wasm'),
  join(ROOT, 'src/wasm/numbers.wasm'),
  ...['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'].map((name) => inPackage('swagger-ui-dist', name)),
]

/** The addon of ONNX Runtime finds its library in its own folder, so both lie beside the executable and are never unpacked elsewhere. */
const runtimeBeside: BunPlugin = {
  name: 'runtime beside',
  setup(build) {
    build.onLoad({ filter: /onnxruntime-node[\\/]dist[\\/]binding\.js$/ }, async ({ path }) => {
      const text = await Bun.file(path).text()
      const contents = text.replace(
        /require\(`[^`]*onnxruntime_binding\.node`\)/,
        "require('node:module').createRequire(process.execPath)('./lib/onnxruntime_binding.node')",
      )
      if (contents === text) throw new Error('onnxruntime-node loads its addon in another way than this script knows')
      return { contents, loader: 'js' }
    })
  },
}

/** The packages of sharp for this platform: its addon, which finds libvips in the folder of the package beside it. */
const PICTURE_PACKAGES = [
  ...new Bun.Glob(`sharp-*${process.platform}*-${process.arch}`).scanSync({ cwd: imgFolder(), onlyFiles: false }),
]
const [PICTURE_ADDON = ''] = new Bun.Glob(`sharp-${process.platform}*/lib/*.node`).scanSync(imgFolder())

function imgFolder(): string {
  return join(dirname(resolveFrom('sharp')), '../../@img')
}

/** As ONNX Runtime's: only processes that decode pictures load it. */
const picturesBeside: BunPlugin = {
  name: 'pictures beside',
  setup(build) {
    build.onLoad({ filter: /[\\/]sharp[\\/]dist[\\/]sharp\.mjs$/ }, () => {
      const addon = JSON.stringify(`./lib/sharp/${PICTURE_ADDON}`)
      const load = `createRequire(process.execPath)(${addon})`
      return { contents: `import { createRequire } from 'node:module'\nexport default ${load}\n`, loader: 'js' }
    })
  },
}

/** Copies the native libraries of this platform. */
function copyLibraries(folder: string): void {
  mkdirSync(folder, { recursive: true })
  for (const name of PICTURE_PACKAGES) {
    const from = join(imgFolder(), name, 'lib')
    for (const file of readdirSync(from).filter((each) => /\.(?:node|so\b.*|dylib|dll)$/.test(each)))
      cpSync(join(from, file), join(folder, 'sharp', name, 'lib', file))
  }
  const runtime = inPackage('onnxruntime-node', 'bin/napi-v6', process.platform, process.arch)
  for (const name of readdirSync(runtime)) cpSync(join(runtime, name), join(folder, name))
  // A platform without this addon checks signatures with BoringSSL.
  const addons = new Bun.Glob('jsonwebtoken-*/jsonwebtoken.*.node').scanSync(inPackage('@node-rs/jsonwebtoken', '..'))
  const own = [...addons].find((path) => path.includes(`.${process.platform}-${process.arch}`))
  if (own !== undefined) cpSync(inPackage('@node-rs/jsonwebtoken', '..', own), join(folder, 'jsonwebtoken.node'))
}

async function build(folder: string): Promise<void> {
  rmSync(folder, { recursive: true, force: true })
  await Bun.build({
    entrypoints: [join(ROOT, 'deploy/executable.ts')],
    target: 'bun',
    // Elysia reads the text of hooks and handlers: names must stay what they are.
    minify: false,
    // Half of the time of a start goes into parsing otherwise.
    bytecode: true,
    format: 'esm',
    // A bunfig.toml of the working directory could name code to run.
    compile: { outfile: join(folder, 'vestal'), assets: ASSETS, autoloadBunfig: false },
    plugins: [runtimeBeside, picturesBeside],
  })
  copyLibraries(join(folder, 'lib'))
}

const folder = resolve(process.argv[2] ?? join(ROOT, 'build'))
await build(folder)
for (const name of [...new Bun.Glob('**').scanSync(folder)].sort()) {
  console.log(`${(statSync(join(folder, name)).size / 1e6).toFixed(1).padStart(7)} MB  ${name}`)
}
