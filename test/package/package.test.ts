import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { chromium } from 'playwright-core'
import { chromiumFlags, chromiumPath } from '../support/chromium.ts'
import { Workplace } from '../support/command-line.ts'
import { blocksOf } from '../support/page.ts'
import { hasTool, testWith } from '../support/tools.ts'
import { wasmCases } from '../support/wasm-cases.ts'

/** What `bun pm pack` made; `.ci/run` names it. */
const packed = process.env.VESTAL_TEST_PACKAGE
const FILES = import.meta.dir
const ROOT = join(FILES, '../..')
/** The ends of the range of package.json. */
const ELYSIA = { oldest: 'elysia@1.4.27', newest: 'elysia@~1.4' }
const TOOLS = ['@types/bun@1.4.5', 'typescript@5.9.3', 'esbuild@0.28.2', 'vite@8.4.0']
const INSTALL_MS = 120_000

setDefaultTimeout(INSTALL_MS)

/** Runs a program to its end. @throws Error with what it printed where it fails */
function run(command: readonly string[], cwd: string, env: Readonly<Record<string, string>> = {}): string {
  const { stdout, stderr, exitCode } = Bun.spawnSync([...command], { cwd, env: { ...process.env, ...env }, timeout: INSTALL_MS })
  if (exitCode !== 0) throw new Error(`${command.join(' ')}: ${stdout}${stderr}`)
  return stdout.toString()
}

/** A fresh project that depends on the packed file. */
function createProject(folder: string, dependencies: readonly string[]): void {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "name": "fresh", "private": true, "type": "module" }')
  run([process.execPath, 'add', ...dependencies], folder)
}

/** The TypeScript of README and docs that uses the library, under the names that its pages give: a folder a page. */
function examplesOfPages(): readonly (readonly [path: string, text: string])[] {
  const pages = ['*.md', 'docs/**/*.md'].flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(ROOT)]).sort()
  return pages.flatMap((page) =>
    blocksOf(readFileSync(join(ROOT, page), 'utf8'))
      .filter(({ language, text }) => language === 'ts' && /from 'vestal/.test(text))
      .map(({ mark, line, text }) => {
        const name = mark?.kind === 'file' ? mark.name : `line-${line}.ts`
        return [join('examples', page.replace('.md', '').replaceAll('/', '-'), name), text] as const
      }),
  )
}

/** What the examples import beside the library, in the version that is tested here. */
function packagesOf(examples: ReturnType<typeof examplesOfPages>): readonly string[] {
  const { devDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
    devDependencies: Record<string, string>
  }
  const imported = examples.flatMap(([, text]) =>
    [...text.matchAll(/from '((?:@[^/']+\/)?[^@./'][^/']*)/g)].map(([, name = '']) => name),
  )
  return [...new Set(imported)].flatMap((name) =>
    name in devDependencies && name !== 'elysia' ? [`${name}@${devDependencies[name]}`] : [],
  )
}

if (hasTool('the packed file', packed)) {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-package-'))
  /** What somebody has who only runs it. */
  const production = join(folder, 'production')
  /** What somebody has who develops with it, with the newest and the oldest Elysia. */
  const projects = { newest: join(folder, 'newest'), oldest: join(folder, 'oldest') }
  const inPackage = join(production, 'node_modules/vestal')
  const examples = examplesOfPages()
  const packages = packagesOf(examples)

  beforeAll(() => {
    createProject(production, [packed])
    createProject(projects.newest, [packed, ELYSIA.newest, ...TOOLS, ...packages])
    createProject(projects.oldest, [packed, ELYSIA.oldest, ...TOOLS, ...packages])
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  describe('the packed file', () => {
    const files = () => [...new Bun.Glob('**').scanSync(inPackage)].sort()

    test('has JavaScript, types, documentation and models, and neither sources nor tests', () => {
      // Bun adds a file of its own when it installs one from a path.
      expect(
        readdirSync(inPackage)
          .filter((name) => name !== '.bun-tag')
          .sort(),
      ).toEqual([
        'ARCHITECTURE.md',
        'CHANGELOG.md',
        'CONTRIBUTING.md',
        'LICENSE',
        'README.md',
        'SECURITY.md',
        'deploy',
        'dist',
        'docs',
        'examples',
        'models',
        'package.json',
      ])
      const own = files().filter((name) => !name.startsWith('examples/'))
      expect(own.filter((name) => /(?<!\.d)\.ts$|\.rs$|\.py$|\.map$|test(?!ing)/.test(name))).toEqual([])
      // One file of each source, with its types.
      const sources = [...new Bun.Glob('**/*.{ts,js}').scanSync(join(ROOT, 'src'))].map((name) => name.replace(/\.[tj]s$/, ''))
      const built = files().flatMap((name) => /^dist\/(.*)(?<!\.d)\.js$/.exec(name)?.slice(1) ?? [])
      expect(built.filter((name) => name !== 'http/swagger-ui-bundle').sort()).toEqual(sources.sort())
    })

    test('has types that hold no module: a constant text is a type as long as itself', () => {
      const types = files().filter((name) => name.endsWith('.d.ts'))
      expect(types.filter((name) => /["'][^"'\n]{2000}/.test(readFileSync(join(inPackage, name), 'utf8')))).toEqual([])
    })

    test('has pages whose links lead to what is in it', () => {
      const pages = files().filter((name) => name.endsWith('.md'))
      expect(pages).toContain('README.md')
      const broken = pages.flatMap((page) =>
        [...readFileSync(join(inPackage, page), 'utf8').matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)|(?:src|srcset)="([^"]+)"/g)]
          .map(([, link, image]) => link ?? image ?? '')
          // Which test shows what is for those who have the repository.
          .filter(
            (link) =>
              !/^https?:/.test(link) &&
              !(page.startsWith('docs/reference/evidence/') && link.includes('/test/')) &&
              !existsSync(join(inPackage, dirname(page), link)),
          )
          .map((link) => `${page}: ${link}`),
      )
      expect(broken).toEqual([])
    })

    test('brings no TypeScript and nothing that reports to others', () => {
      const installed = ['*', '@*/*'].flatMap((pattern) => [
        ...new Bun.Glob(pattern).scanSync({ cwd: join(production, 'node_modules'), onlyFiles: false }),
      ])
      expect(installed).toContain('elysia')
      expect(installed.filter((name) => /^(?:typescript|@typescript\/|swagger-ui|@scarf\/|bun-types)/.test(name))).toEqual([])
    })
  })

  describe('the command line of the packed file', () => {
    const vestal = [process.execPath, join(production, 'node_modules/.bin/vestal')]

    test('says what it can', () => {
      using place = new Workplace(vestal)
      expect(place.run(['--help']).stdout).toContain('Usage: vestal')
      expect(place.run(['--version']).stdout.trim()).toBe(JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version)
    })

    for (const processes of ['1', '2']) {
      test(`serves with ${processes} processes that answer HTTP, from an empty folder`, async () => {
        using place = new Workplace(vestal)
        const models = { VESTAL_MODELS: join(inPackage, 'models') }
        const { base, child, output, rest } = await place.start(['--processes', processes], models)
        expect(output).toContain('TOKEN=$(bunx vestal token ')
        const token = place.run(['token', '--subject', 'me', '--permission', 'model:*:predict'], models).stdout.trim()
        const ask = { method: 'POST', headers: { authorization: `Bearer ${token}` }, body: '{"input": [[5.1, 3.5, 1.4, 0.2]]}' }
        const answer = await fetch(`${base}/models/iris/predict/`, ask)
        expect(await answer.json()).toEqual({ output: [expect.objectContaining({ label: 'setosa' })] })
        for (const asset of ['swagger-ui.css', 'swagger-ui-bundle.js', 'favicon-32x32.png'])
          expect([asset, (await fetch(`${base}/docs/assets/${asset}`)).status]).toEqual([asset, 200])
        child.kill('SIGTERM')
        expect(await child.exited).toBe(0)
        await rest
      })
    }

    const isLinux = process.platform === 'linux' && process.arch === 'x64'
    test.if(isLinux)('computes once the libraries of other platforms are deleted as the deploy guide says', () => {
      const guide = readFileSync(join(ROOT, 'docs/guides/deploy.md'), 'utf8')
      run(['bash', '-c', /^rm -rf node_modules\/onnxruntime-node.*$/m.exec(guide)?.[0] ?? 'false'], production)
      const left = new Bun.Glob('*/*').scanSync({
        cwd: join(production, 'node_modules/onnxruntime-node/bin/napi-v6'),
        onlyFiles: false,
      })
      expect([...left]).toEqual(['linux/x64'])
      using place = new Workplace(vestal)
      writeFileSync(join(place.folder, 'rows.ndjson'), '[5.1, 3.5, 1.4, 0.2]\n')
      const models = { VESTAL_MODELS: join(inPackage, 'models') }
      expect(place.run(['models', 'run', 'iris', '--input', 'rows.ndjson'], models).stdout).toContain('setosa')
    })

    test('starts without models, and makes the first account in production', async () => {
      using place = new Workplace(vestal)
      const settings = {
        VESTAL_MODELS: 'models',
        NODE_ENV: 'production',
        VESTAL_SECRET: 'a secret for tests alone, of 48 bytes and no less',
      }
      const { base, child, rest } = await place.start([], settings)
      expect((await fetch(`${base}/v2/health/ready`)).status).toBe(200)
      // Its database was made by the migrations of the package.
      expect(place.run(['users', 'list'], settings).stdout).toContain('admin')
      child.kill('SIGTERM')
      await Promise.all([child.exited, rest])
    })
  })

  const checksOf = {
    newest: [
      ['TypeScript 7', 'nodenext', 'nodenext'],
      ['TypeScript 7', 'preserve', 'bundler'],
      ['TypeScript 5', 'nodenext', 'nodenext'],
    ],
    oldest: [['TypeScript 7', 'nodenext', 'nodenext']],
  } as const
  for (const [end, project] of Object.entries(projects)) {
    describe(`a fresh project with the ${end} Elysia`, () => {
      const compilers = {
        'TypeScript 7': join(ROOT, 'node_modules/.bin/tsc'),
        'TypeScript 5': join(project, 'node_modules/.bin/tsc'),
      }
      beforeAll(() => {
        cpSync(join(FILES, 'eden-types.ts'), join(project, 'eden-types.ts'))
        cpSync(join(FILES, 'program.ts'), join(project, 'program.ts'))
        for (const [path, text] of examples) {
          mkdirSync(join(project, dirname(path)), { recursive: true })
          writeFileSync(join(project, path), text)
        }
        writeFileSync(
          join(project, 'wasm.ts'),
          "import { loadSignatureChecker } from 'vestal/wasm'\nexport const checker = await loadSignatureChecker()\n",
        )
        // What the declarations of Elysia and Eden are wrong about by themselves.
        const imports =
          "import { treaty } from '@elysiajs/eden'\nimport { Elysia } from 'elysia'\nexport const used = [treaty, Elysia]\n"
        mkdirSync(join(project, 'without'))
        writeFileSync(join(project, 'without/imports.ts'), imports)
      })

      /** Errors that the compiler reports of a program. */
      function errorsOf(compiler: string, options: object, files: readonly string[]): readonly string[] {
        const compilerOptions = { noEmit: true, strict: true, target: 'esnext', types: ['bun'], ...options }
        writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }))
        const command = [process.execPath, compiler, '--project', 'tsconfig.json', '--pretty', 'false']
        const { stdout, stderr } = Bun.spawnSync(command, { cwd: project })
        return `${stdout}${stderr}`.split('\n').filter((line) => line.includes('error TS'))
      }
      const sources = () => ['*.ts', 'examples/*/*.ts'].flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(project)]).sort()

      for (const [compiler, module, moduleResolution] of checksOf[end as keyof typeof checksOf]) {
        for (const skipLibCheck of [true, false]) {
          test(`checks at strict by ${compiler}, ${moduleResolution}, skipLibCheck ${skipLibCheck}`, () => {
            const options = { module, moduleResolution, skipLibCheck }
            const others = new Set(skipLibCheck ? [] : errorsOf(compilers[compiler], options, ['without/imports.ts']))
            expect(sources()).toContain('examples/docs-start-call-it/app.ts')
            expect(errorsOf(compilers[compiler], options, sources()).filter((line) => !others.has(line))).toEqual([])
          })
        }
      }

      test('checks with the options of `bun init`', () => {
        const fresh = join(project, 'init')
        mkdirSync(fresh)
        run([process.execPath, 'init', '--yes'], fresh)
        const text = readFileSync(join(fresh, 'tsconfig.json'), 'utf8')
        expect(text).toContain('"noUncheckedIndexedAccess": true')
        writeFileSync(join(project, 'tsconfig.init.json'), text)
        const config = { extends: './tsconfig.init.json', files: sources() }
        writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(config))
        run([process.execPath, compilers['TypeScript 7'], '--project', join(project, 'tsconfig.json')], project)
      })

      test('runs a program that uses the library, with one Elysia, and ends', () => {
        expect(existsSync(join(project, 'node_modules/vestal/node_modules'))).toBe(false)
        const inRepository = run([process.execPath, join(FILES, 'program.ts')], ROOT)
        expect(inRepository).toContain('/models/iris/predict/ 200')
        const models = { MODELS: join(project, 'node_modules/vestal/models') }
        expect(run([process.execPath, 'program.ts'], project, models)).toBe(inRepository)
      })
    })
  }

  describe('vestal/wasm, bundled', () => {
    const cases = wasmCases()
    const expected = cases.map(({ isRight }) => isRight)
    const project = projects.newest
    const node = Bun.which('node')
    const inProject = (name: string) => join(project, 'node_modules/.bin', name)
    beforeAll(() => cpSync(join(FILES, 'bundled'), join(project, 'bundled'), { recursive: true }))

    for (const format of ['esm', 'cjs']) {
      testWith('Node', node)(`by esbuild for Node (${format}) checks signatures in Node`, () => {
        const output = join(folder, 'for-node', `program.${format === 'esm' ? 'mjs' : 'cjs'}`)
        run(
          [inProject('esbuild'), 'bundled/node.js', '--bundle', '--platform=node', `--format=${format}`, `--outfile=${output}`],
          project,
        )
        expect(readdirSync(dirname(output)).filter((name) => name.endsWith('.wasm'))).toEqual([])
        expect(JSON.parse(run([node ?? '', output, JSON.stringify(cases)], folder))).toEqual(expected)
      })
    }

    testWith('Node', node)('is not needed for Node, which loads it from node_modules', () => {
      expect(JSON.parse(run([node ?? '', 'bundled/node.js', JSON.stringify(cases)], project))).toEqual(expected)
    })

    const bundlers = {
      esbuild: (output: string) =>
        run(
          [
            inProject('esbuild'),
            'bundled/page.js',
            'bundled/worker.js',
            '--bundle',
            '--minify',
            '--format=esm',
            `--outdir=${output}`,
          ],
          project,
        ),
      Vite: (output: string) => {
        writeFileSync(join(project, 'index.html'), '<!doctype html><script type="module" src="/bundled/page.js"></script>')
        run([inProject('vite'), 'build', '--outDir', output, '--logLevel', 'warn'], project)
      },
    }
    const browserPath = chromiumPath()
    for (const [bundler, bundle] of Object.entries(bundlers)) {
      testWith('Chromium', browserPath)(`by ${bundler} checks signatures in a page and in its worker`, async () => {
        const output = join(folder, `by-${bundler}`)
        bundle(output)
        if (!existsSync(join(output, 'index.html')))
          writeFileSync(join(output, 'index.html'), '<!doctype html><script type="module" src="/page.js"></script>')
        using server = Bun.serve({
          port: 0,
          hostname: '127.0.0.1',
          fetch: (request) => {
            const { pathname } = new URL(request.url)
            const file = join(output, pathname === '/' ? 'index.html' : pathname)
            return existsSync(file) ? new Response(Bun.file(file)) : new Response(null, { status: 404 })
          },
        })
        const browser = await chromium.launch({ executablePath: browserPath ?? '', args: chromiumFlags })
        try {
          const page = await browser.newPage()
          await page.goto(`${server.url}`)
          await page.waitForFunction('globalThis.checkInWorker !== undefined')
          expect(await page.evaluate(`check(${JSON.stringify(cases)})`)).toEqual(expected)
          expect(await page.evaluate(`checkInWorker(${JSON.stringify(cases)})`)).toEqual(expected)
        } finally {
          await browser.close()
        }
      })
    }
  })
}
