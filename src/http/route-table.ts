export interface Route {
  readonly method: string
  readonly path: string
}

/** What is known of a path that the app has. */
export interface FoundRoute {
  /** The path as the route was written, such as `/models/:name/`. */
  readonly path: string
  readonly methods: readonly string[]
  /** Which segment of a path stands for `:name`, counted from 0; -1 where none does. */
  readonly nameAt: number
}

/** Stands for every unknown path: a client may ask for any number of them. */
export const NO_ROUTE: FoundRoute = { path: 'other', methods: [], nameAt: -1 }

/** Finds the route of a path, whatever its method. */
export type RouteTable = (pathname: string) => FoundRoute | undefined

interface Node {
  readonly children: Map<string, Node>
  parameter: Node | undefined
  route: BuiltRoute | undefined
  /** A route that ends with `*` takes all that follows. */
  rest: BuiltRoute | undefined
}

interface BuiltRoute extends FoundRoute {
  readonly methods: string[]
}

/**
 * Prepares the question which route a path belongs to: for the `Allow` header of a 405 (RFC 9110 §15.5.6), and for the label of its
 * metrics. HEAD comes with GET, and a WebSocket is opened with GET. A trailing slash makes no difference, as in the router. The
 * routes are read at the first question.
 */
export function createRouteTable(routes: readonly Route[]): RouteTable {
  let root: Node | undefined
  const known = new Map<string, FoundRoute>()
  return (pathname) => {
    const before = known.get(pathname)
    if (before !== undefined) return before
    root ??= treeOf(routes)
    const found = find(root, pathname, 1)
    if (found === undefined || pathname.length > KNOWN_LENGTH_MAX) return found
    if (known.size === KNOWN_MAX) known.clear()
    known.set(pathname, found)
    return found
  }
}

/** Paths whose route is remembered, all forgotten where there are more: those of models are asked for again and again. */
const KNOWN_MAX = 1000
const KNOWN_LENGTH_MAX = 256

/** What a path has in the place of `:name`, as it came. */
export function nameIn({ nameAt }: FoundRoute, pathname: string): string | undefined {
  if (nameAt === -1) return undefined
  let start = 1
  for (let segment = 0; segment < nameAt; segment += 1) start = pathname.indexOf('/', start) + 1
  const end = pathname.indexOf('/', start)
  return end === -1 ? pathname.slice(start) : pathname.slice(start, end)
}

function find(node: Node, pathname: string, start: number): FoundRoute | undefined {
  if (start >= pathname.length) return node.route ?? node.rest
  const slash = pathname.indexOf('/', start)
  const end = slash === -1 ? pathname.length : slash
  const segment = pathname.slice(start, end)
  const child = node.children.get(segment)
  const found = child === undefined ? undefined : find(child, pathname, end + 1)
  if (found !== undefined) return found
  const other = segment === '' || node.parameter === undefined ? undefined : find(node.parameter, pathname, end + 1)
  return other ?? node.rest
}

function treeOf(routes: readonly Route[]): Node {
  const root = createNode()
  for (const { method, path } of routes) {
    let node = root
    const segments = path.split('/').filter((segment) => segment !== '')
    const isRest = segments.at(-1) === '*'
    for (const segment of isRest ? segments.slice(0, -1) : segments) node = childOf(node, segment)
    const slot = isRest ? 'rest' : 'route'
    const route: BuiltRoute = node[slot] ?? { path, methods: [], nameAt: segments.indexOf(':name') }
    node[slot] = route
    for (const allowed of methodsFor(method)) {
      if (!route.methods.includes(allowed)) route.methods.push(allowed)
    }
    route.methods.sort()
  }
  return root
}

function childOf(node: Node, segment: string): Node {
  if (segment.startsWith(':')) {
    node.parameter ??= createNode()
    return node.parameter
  }
  const child = node.children.get(segment) ?? createNode()
  node.children.set(segment, child)
  return child
}

function createNode(): Node {
  return { children: new Map(), parameter: undefined, route: undefined, rest: undefined }
}

function methodsFor(method: string): readonly string[] {
  return method === 'GET' || method === 'WS' ? ['GET', 'HEAD'] : [method]
}
