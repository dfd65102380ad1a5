/** `[code]` of model.toml: what a `model.ts` is given. */
export interface CodeSettings {
  /** Names of variables of the server's environment that the code gets. */
  readonly environment: readonly string[]
  readonly mayUseNetwork: boolean
  /** Models that it may ask whatever its callers may. */
  readonly ownAuthority: readonly string[]
  /** Memory that its process may hold. */
  readonly memoryBytesMax: number
  /** How long its process may give no answer to a ping. */
  readonly hangMs: number
}

/** What code has where model.toml says nothing. */
export const CODE_DEFAULTS: CodeSettings = {
  environment: [],
  mayUseNetwork: false,
  ownAuthority: [],
  memoryBytesMax: 1024 * 1024 * 1024,
  hangMs: 1000,
}
