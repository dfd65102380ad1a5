export interface Route {
  readonly method: string
  readonly path: string
}

/**
 * Prepares the answer to which methods a path has, for the `Allow` header of a 405 (RFC 9110 §15.5.6). HEAD comes with GET, and a
 * WebSocket is opened with GET. A trailing slash makes no difference, as in the router. The routes are read at the first question.
 */
export function createMethodsOf(routes: readonly Route[]): (pathname: string) => readonly string[] {
  let patterns: ReturnType<typeof patternsOf> | undefined
  return (pathname) => {
    patterns ??= patternsOf(routes)
    return [...new Set(patterns.filter(({ pattern }) => pattern.test(pathname)).flatMap(({ methods }) => methods))].sort()
  }
}

function patternsOf(routes: readonly Route[]) {
  return routes.map(({ method, path }) => ({ methods: methodsFor(method), pattern: patternOf(path) }))
}

function methodsFor(method: string): readonly string[] {
  return method === 'GET' || method === 'WS' ? ['GET', 'HEAD'] : [method]
}

function patternOf(path: string): RegExp {
  const segments = path.split('/').filter((segment) => segment !== '')
  const parts = segments.map((segment) =>
    segment.startsWith(':') ? '/[^/]+' : segment === '*' ? '/.*' : `/${escapeSegment(segment)}`,
  )
  return new RegExp(`^${parts.join('')}/?$`)
}

function escapeSegment(segment: string): string {
  return segment.replace(/[.+^${}()|[\]\\]/g, '\\$&')
}
