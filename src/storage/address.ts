/** True for the address of a Postgres server; any other text is a file of SQLite. */
export function isPostgresAddress(address: string): boolean {
  return /^postgres(?:ql)?:\/\//.test(address)
}
