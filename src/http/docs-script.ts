import { DIALECT_TAGS } from './openapi/dialects.ts'

/** Where the OpenAPI document is. */
export const DOCUMENT_PATH = '/docs/openapi.json'

/**
 * What the page adds to Swagger UI. It offers what a person may sign in with as well: name and password, or an API key. The document names
 * the bearer scheme only, for the clients that are generated from it; a page cannot send a cookie of its choice. Swagger UI gives the last
 * box of its dialog the cursor, so the first one gets it back. The models are those that the credential may read, asked for with it.
 */
export const START = `const url = '${DOCUMENT_PATH}'
const dark = matchMedia('(prefers-color-scheme: dark)')
const applyScheme = () => document.documentElement.classList.toggle('dark-mode', dark.matches)
dark.addEventListener('change', applyScheme)
applyScheme()

let list = { models: JSON.parse(document.getElementById('documentation').dataset.models).map((name) => ({ name })) }
let showList = () => undefined
const PREDICT = '#/Models/postModelsByNamePredict'

function prepareResponse(response) {
  if (response.url.endsWith(url)) response.text = JSON.stringify(prepareDocument(JSON.parse(response.text)))
  return response
}

function prepareDocument(document) {
  delete document.components.securitySchemes.cookie
  delete document.servers
  delete document.info.license
  suggestName(document)
  for (const operations of Object.values(document.paths)) {
    for (const operation of Object.values(operations)) {
      if (operation.security?.length > 0) operation.security = [{ bearer: [] }, { account: [] }, { apiKey: [] }]
    }
  }
  return document
}

/** Closes the groups of clients of other servers, but for one that the address names: who looks for another opens it. */
function fold(system) {
  const named = decodeURIComponent(location.hash)
  for (const tag of ${JSON.stringify(DIALECT_TAGS.map(({ name }) => name))}) {
    // Not its own action, which writes the address too.
    const payload = { thing: ['operations-tag', tag], shown: false }
    if (!named.startsWith('#/' + tag)) system.getStore().dispatch({ type: 'layout_show', payload })
  }
}

function headersOf({ bearer, account, apiKey }) {
  if (bearer !== undefined) return { Authorization: 'Bearer ' + bearer.value.trim() }
  if (account !== undefined) return { Authorization: 'Bearer ' + account.token.access_token }
  return apiKey === undefined ? undefined : { 'X-API-Key': apiKey.value.trim() }
}

async function readModels(authorized) {
  const headers = headersOf(authorized)
  if (headers === undefined) return { models: [] }
  try {
    const answer = await fetch('/models/', { headers: { ...headers, Accept: 'application/json' }, credentials: 'omit' })
    const body = await answer.json()
    return answer.ok ? { ...body, headers } : { models: [], problem: answer.status + ': ' + body.detail }
  } catch {
    return { models: [], problem: 'The server does not answer, or the token has characters that no header may have.' }
  }
}

/** Fills the model's name in where a route asks for one. */
function suggestName(document) {
  const { name } = list.models.find((model) => model.name === 'iris') ?? list.models[0] ?? {}
  if (name === undefined) return
  for (const [path, operations] of Object.entries(document.paths)) {
    if (!path.includes('/models/{name}')) continue
    for (const { parameters = [] } of Object.values(operations)) {
      for (const parameter of parameters) if (parameter.name === 'name') parameter.example = name
    }
  }
}

/** The document has the models of a credential: of the one that is entered here, and not of a cookie, which may have expired. */
function askWithoutCookie(request) {
  if (request.loadSpec) request.credentials = 'omit'
  return request
}

/** Shows what the credential may read, and the operations of the models that it may predict with. What is open stays so. */
async function refresh(system) {
  list = await readModels(system.authSelectors.authorized().toJS())
  showList()
  if (list.problem !== undefined) return
  const answer = await fetch(url, { headers: list.headers, credentials: 'omit' }).catch(() => undefined)
  if (answer?.ok) system.specActions.updateJsonSpec(prepareDocument(await answer.json()))
}

function stateOf({ versions }) {
  if (versions === undefined) return ''
  const ready = versions.filter(({ state }) => state === 'ready').map(({ version }) => version)
  return ready.length > 0 ? 'version ' + ready.join(', ') : 'unavailable'
}

/** What a model with code takes and gives, as JSON Schema. */
function schemasOf({ versions = [] }) {
  const code = versions.find(({ state }) => state === 'ready')?.code
  return code === undefined ? [] : ['input', 'output'].map((side) => [side, JSON.stringify(code[side].schema, null, 2)])
}

function models(system) {
  const { createElement: h, useEffect, useState } = system.React
  const openPredict = (name) => {
    system.layoutActions.parseDeepLinkHash(PREDICT)
    system.specActions.changeParam(['/models/{name}/predict/', 'post'], 'name', 'path', name, false)
  }
  const rows = () => list.models.map((model) => h('li', { key: model.name },
    h('a', { href: PREDICT, onClick: () => openPredict(model.name) }, model.name), ' ',
    h('small', null, stateOf(model)),
    model.description ? h('div', null, model.description) : null,
    schemasOf(model).map(([side, schema]) => h('details', { key: side }, h('summary', null, side), h('pre', null, schema)))))
  return function Models() {
    const [, setCount] = useState(0)
    useEffect(() => {
      showList = () => setCount((count) => count + 1)
    }, [])
    const hint = list.problem ?? (list.models.length > 0 ? undefined : 'Authorize to see the models that your token may read.')
    return h('section', { className: 'served wrapper' }, h('h2', null, 'Models'),
      hint === undefined ? h('ul', null, rows()) : h('p', null, hint))
  }
}

const withModels = (system) => {
  const { createElement: h } = system.React
  const Models = models(system)
  const refreshAfter = (action) => (payload) => {
    const done = action(payload)
    setTimeout(() => refresh(system))
    return done
  }
  return {
    wrapComponents: { InfoContainer: (Original) => (props) => h('div', null, h(Original, props), h(Models)) },
    statePlugins: { auth: { wrapActions: { authorize: refreshAfter, authorizeOauth2: refreshAfter, logout: refreshAfter } } },
  }
}

window.ui = SwaggerUIBundle({
  url,
  dom_id: '#documentation',
  validatorUrl: null,
  deepLinking: true,
  tryItOutEnabled: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  requestInterceptor: askWithoutCookie,
  responseInterceptor: prepareResponse,
  plugins: [withModels],
  onComplete: () => fold(window.ui.getSystem()),
})

document.addEventListener(
  'click',
  () => {
    if (document.querySelector('.modal-ux') !== null) return
    setTimeout(() => document.getElementById('auth-bearer-value')?.focus())
  },
  { capture: true },
)
`

/** Swagger UI's own style is for wide windows. */
export const STYLE = `html{color-scheme:light dark}
body{margin:0}
.swagger-ui .info{margin:30px 0}
.swagger-ui .scheme-container{padding:16px 0}
.swagger-ui .served{margin-bottom:24px}
.swagger-ui .served h2{font-size:24px;margin:0 0 8px}
.swagger-ui .served p,.swagger-ui .served li{font-size:14px;line-height:1.6;margin:0}
.swagger-ui .served ul{list-style:none;margin:0;padding:0}
.swagger-ui .served li a{font-weight:700;color:#1a5fb4}
html.dark-mode .swagger-ui .served li a{color:#8ab4f8}
html.dark-mode .swagger-ui .examples-select,html.dark-mode .swagger-ui .examples-select__section-label{color:#e4e6e6}
.swagger-ui .scope-def{display:none}
@media(max-width:640px){
.swagger-ui .opblock-tag{flex-wrap:wrap}
.swagger-ui .opblock-tag small{flex:1 1 100%;order:3;padding:0}
.swagger-ui .opblock .opblock-summary-path{max-width:100%;word-break:break-word}
.swagger-ui .modal-ux{min-width:0;width:calc(100vw - 20px)}
}
`
