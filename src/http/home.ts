import { Elysia } from 'elysia'
import { VERSION } from '../core/version.ts'
import { SECURITY_HEADERS } from './json.ts'
import { operation } from './openapi/operation.ts'
import type { Readiness } from './readiness.ts'
import { prefersHtml, webPage } from './web-page.ts'

export interface HomeOptions {
  readonly title: string
  readonly description: string
  readonly readiness: Pick<Readiness, 'isReady'>
  /** Whether `/docs/` exists. */
  readonly hasDocs: boolean
  /** Whether `POST /auth/` exists. */
  readonly hasSignIn: boolean
}

/** `GET /`: what this server is, whether it is ready, and where to go. It names no model, no address and no setting. */
export function home(options: HomeOptions) {
  const { title, description, readiness } = options
  const links = linksOf(options)
  const answer = (request: Request): Response => {
    const ready = readiness.isReady()
    return prefersHtml(request)
      ? webPage({ title, main: mainOf(options, ready) })
      : new Response(JSON.stringify({ title, description, version: VERSION, ready, links }), { headers: JSON_HEADERS })
  }
  return new Elysia({ name: 'home' }).get('/', ({ request }) => answer(request), { detail: HOME_DETAIL })
}

const JSON_HEADERS = { 'content-type': 'application/json', 'cache-control': 'no-store', vary: 'accept', ...SECURITY_HEADERS }

function linksOf({ hasDocs, hasSignIn }: Pick<HomeOptions, 'hasDocs' | 'hasSignIn'>) {
  return {
    ...(hasDocs && { documentation: '/docs/', openapi: '/docs/openapi.json' }),
    models: '/models/',
    ...(hasSignIn && { sign_in: '/auth/' }),
    health: '/v2/health/ready',
    keys: '/.well-known/jwks.json',
  }
}

function mainOf({ title, description, hasDocs, hasSignIn }: HomeOptions, isReady: boolean): string {
  const state = isReady
    ? '<span class="state good">Ready</span>: it accepts predictions.'
    : '<span class="state bad">Not ready</span>: it is starting or stopping, or no model can be served.'
  const entries = [
    ...(hasDocs ? [entry('/docs/', 'Documentation', 'Every route, with a form to try it.')] : []),
    entry('/models/', 'Models', 'The models that your token may read. Needs a token.'),
    ...(hasSignIn ? [signInEntry(hasDocs)] : []),
    entry('/v2/health/ready', 'Health', 'Whether the server accepts predictions, for load balancers.'),
    entry('/.well-known/jwks.json', 'Keys', 'The public keys of the tokens that are signed here.'),
  ]
  return `<h1>${Bun.escapeHTML(title)}</h1>
<p>${Bun.escapeHTML(description)}</p>
<p>${state}</p>
<h2>Where to go</h2>
<ul>
${entries.join('\n')}
</ul>
<p class="quiet foot">Vestal ${VERSION}. Programs that ask for JSON get this page as JSON.</p>`
}

function entry(href: string, name: string, text: string): string {
  return `<li><a href="${href}">${name}</a><span class="quiet">${text}</span></li>`
}

/** A browser cannot open a route that only answers POST, so the link leads to its form in the documentation. */
function signInEntry(hasDocs: boolean): string {
  const text = 'Name and password for a token: <code>POST /auth/</code>.'
  return hasDocs ? entry('/docs/#/Sign-in/postAuth', 'Sign in', text) : `<li>Sign in<span class="quiet">${text}</span></li>`
}

const HOME_DETAIL = operation({
  tag: 'Information',
  summary: 'Where to go',
  description: 'JSON, or a page where the client prefers `text/html`.',
  answer: {
    description: 'What this server is, whether it accepts predictions, and paths that exist',
    schema: 'Home',
    example: {
      title: 'Vestal',
      description: 'ONNX models behind JSON Web Tokens',
      version: VERSION,
      ready: true,
      links: linksOf({ hasDocs: true, hasSignIn: true }),
    },
  },
})
