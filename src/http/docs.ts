import { swagger } from '@elysiajs/swagger'
import { Elysia } from 'elysia'
import { CommandError } from '../core/command-error.ts'
import type { Maybe } from '../core/maybe.ts'
import type { Model } from '../inference/engine.ts'
import { DOCUMENT_PATH, START, STYLE } from './docs-script.ts'
import { type DocumentOptions, openApiDocument } from './openapi/document.ts'
import { withModels } from './openapi/served-models.ts'

/** Files of swagger-ui-dist that the page loads, all from this server. */
const ASSETS = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
} as const

/** The executable and the package have them beside this module; its source takes them from swagger-ui-dist. */
const IS_BUILT = Bun.isStandaloneExecutable || import.meta.path.endsWith('.js')

/** Nothing but this server's own files; Swagger UI writes style attributes and draws its icons from data URLs. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

export interface DocsOptions extends DocumentOptions {
  /** Names of models that a request may see on the page without a token; default none. */
  readonly modelNames?: (request: Request) => readonly string[]
  /**
   * The models that the document shows to who sends this request; undefined where it has no credential. Default none.
   * @throws VestalError where the credential is not valid
   */
  readonly modelsOf?: (request: Request) => Maybe<readonly Model[] | undefined>
}

/**
 * The documentation: `/docs/` in a browser, `/docs/openapi.json` for tools. The document is @elysiajs/swagger's, made of the routes;
 * the page is ours, because the plugin's loads its scripts from another host. Without a credential the document is the same for everybody,
 * since each model requires a permission; with one it has the models of the token too.
 */
export function docs({ modelNames = () => [], modelsOf = () => undefined, ...options }: DocsOptions) {
  // The cast: the plugin asks for mutable arrays, which it does not change.
  const documentation = openApiDocument(options) as unknown as NonNullable<Parameters<typeof swagger>[0]>['documentation'] &
    object
  const pageFor = (request: Request) => pageResponse(page(options.title, modelNames(request)), 'text/html; charset=utf-8')
  const document = new Elysia()
    .onAfterHandle(async ({ request, response }) => {
      const models = new URL(request.url).pathname === DOCUMENT_PATH ? await modelsOf(request) : undefined
      return models === undefined ? undefined : documentResponse(withModels(response, models))
    })
    .use(swagger({ path: '/docs', specPath: DOCUMENT_PATH, documentation, excludeStaticFile: false, exclude: [/^\/docs/] }))
  const app = new Elysia({ name: 'docs' })
    .use(document)
    .get('/docs', ({ request }) => pageFor(request), HIDDEN)
    .get('/docs/assets/start.js', () => pageResponse(START, 'text/javascript; charset=utf-8'), HIDDEN)
    .get('/docs/assets/start.css', () => pageResponse(STYLE, 'text/css; charset=utf-8'), HIDDEN)
  for (const [name, type] of Object.entries(ASSETS)) {
    const file = Bun.file(IS_BUILT ? `${import.meta.dir}/${name}` : assetOfSource(name))
    app.get(`/docs/assets/${name}`, () => pageResponse(file, type), HIDDEN)
  }
  return app
}

/** @throws CommandError where the packages for development are not installed */
function assetOfSource(name: string): string {
  try {
    return Bun.resolveSync(`swagger-ui-dist/${name}`, import.meta.dir)
  } catch (cause) {
    const reason = 'the page /docs/ of a clone needs swagger-ui-dist, which `bun install --production` leaves out'
    throw new CommandError(`${reason}; run \`bun install\`, or set docs_page = "off"`, { cause })
  }
}

/** Who may see which models is not for caches that others share. */
function documentResponse(content: string): Response {
  return new Response(content, {
    headers: { 'content-type': 'application/json', 'cache-control': 'private, no-store', 'x-content-type-options': 'nosniff' },
  })
}

const HIDDEN = { detail: { hide: true } }

function pageResponse(content: string | Blob, type: string): Response {
  return new Response(content, {
    headers: {
      'content-type': type,
      'content-security-policy': CONTENT_SECURITY_POLICY,
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'cache-control': 'no-cache',
    },
  })
}

function page(title: string, models: readonly string[]): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${Bun.escapeHTML(title)}</title>
<link rel="icon" href="/docs/assets/favicon-32x32.png">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
<link rel="stylesheet" href="/docs/assets/start.css">
</head>
<body>
<div id="documentation" data-models="${Bun.escapeHTML(JSON.stringify(models))}"></div>
<noscript>This page needs JavaScript; the same is at <a href="${DOCUMENT_PATH}">${DOCUMENT_PATH}</a>.</noscript>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script>
</body>
</html>
`
}
