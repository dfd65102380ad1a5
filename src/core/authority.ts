/** Host and port as a URL has them: an IPv6 address is in brackets (RFC 3986 §3.2.2). */
export function authorityOf(hostname: string, port: number | undefined): string {
  return `${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`
}
