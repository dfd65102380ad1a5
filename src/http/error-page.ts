import { STATUS_CODES } from 'node:http'
import type { VestalError } from '../core/errors.ts'
import { webPage } from './web-page.ts'

export interface ErrorPageOptions {
  /** Name of the server. */
  readonly title: string
  /** Whether `/docs/` exists. */
  readonly hasDocs: boolean
  /** Whether `POST /auth/` exists. */
  readonly hasSignIn: boolean
}

/** A failure as a page for a person in a browser: the problem, what to do, and the id that finds it in the log. */
export function errorPage(error: VestalError, id: string, options: ErrorPageOptions): Response {
  const { status, headers } = error
  const problem = STATUS_CODES[status] ?? 'Error'
  const { title, hasDocs } = options
  const docs = hasDocs ? ' · <a href="/docs/">Documentation</a>' : ''
  const main = `<h1>${status} ${problem}</h1>
<p>${problemOf(error)}</p>
<h2>What to do</h2>
${remedyOf(error, options)}
<p><a href="/">Start page</a>${docs}</p>
<p class="quiet foot">Request id: <code>${Bun.escapeHTML(id)}</code>. The server’s log has the details under this id.</p>`
  return webPage({ title: `${problem} – ${title}`, main, status, headers })
}

function problemOf({ detail, code, status }: VestalError): string {
  if (code === 'TOKEN_MISSING') return 'This address needs an access token, and the request has none.'
  if (status === 401 && detail === STATUS_CODES[status]) return 'The token is not valid here.'
  if (status === 404 && detail === STATUS_CODES[status]) return 'Nothing is at this address.'
  if (code === 'METHOD_NOT_ALLOWED') return 'This address does not answer GET, which a browser sends.'
  if (code === 'INTERNAL') return 'The server failed: this is an error of its own, not of your request.'
  if (typeof detail !== 'string')
    return Object.entries(detail)
      .map(([field, rule]) => Bun.escapeHTML(`${field}: ${rule}`))
      .join('<br>')
  return `${Bun.escapeHTML(detail)}.`
}

function remedyOf({ status, headers }: VestalError, { hasDocs, hasSignIn }: ErrorPageOptions): string {
  if (status === 401) {
    const sources = hasSignIn ? '<code>POST /auth/</code> or the people who run this server' : 'The people who run this server'
    const form = hasDocs ? ', or use <b>Authorize</b> in the documentation' : ''
    return `<p>${sources} give you a token. A browser does not send it by itself: send it with a program${form}.</p>
<pre>curl -H "Authorization: Bearer $TOKEN" …</pre>`
  }
  if (status === 403) {
    const [, scope] = /scope="([^"]*)"/.exec(headers['www-authenticate'] ?? '') ?? []
    const name = scope === undefined ? 'the permission that this address needs' : `<code>${Bun.escapeHTML(scope)}</code>`
    return `<p>Ask for a token with ${name}.</p>`
  }
  if (status === 404) return '<p>Check the address: names of models and capitals count.</p>'
  if (status === 405)
    return `<p>Send ${Bun.escapeHTML(headers.allow ?? 'another method')} with a program${hasDocs ? ', or from the documentation' : ''}.</p>`
  const seconds = headers['retry-after']
  if (seconds !== undefined) return `<p>Try again in ${Bun.escapeHTML(seconds)} s.</p>`
  if (status < 500) return '<p>Change the request as the text above says.</p>'
  return '<p>Try again. If it persists, send the request id to the people who run this server.</p>'
}
