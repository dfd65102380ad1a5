import { SettingsError } from '../config/load.ts'
import type { Settings } from '../config/settings.ts'
import type { Change } from '../core/change.ts'
import { watchFile } from '../platform/watch-file.ts'
import { type LoadedTls, loadTls, tlsFiles } from './tls-files.ts'

export interface LiveTlsOptions {
  /** Listens with a new certificate from now on. */
  readonly use: (tls: LoadedTls) => void
  /** Logs that changed files cannot be used; the old certificate stays. */
  readonly warn: (message: string) => void
  /** Logs that a new certificate is in use. */
  readonly say: (message: string) => void
  /** Milliseconds between two checks of a file where the system reports no change; default 1000. */
  readonly pollMs?: number
}

/** The certificate of a running server: that of its files as they are now. */
export interface LiveTls {
  /**
   * Reads the files again and checks them, for a reload that checks all of its parts first.
   * @throws SettingsError where they cannot be used
   */
  prepare(): Change
  /** Stops watching the files. */
  close(): void
}

/**
 * Applies each change of the files while the server runs, once none of them has changed between two checks: a certificate
 * and its key are written one after the other. Files that cannot be used change nothing.
 */
export function watchTls(settings: Settings, first: LoadedTls, { use, warn, say, pollMs }: LiveTlsOptions): LiveTls {
  let current = first
  const prepare = (): Change => {
    const next = loadTls(settings)
    return { apply: () => take(next), discard: () => undefined }
  }
  const take = (next: LoadedTls | undefined) => {
    if (next === undefined || next.identity === current.identity) return
    use(next)
    current = next
    for (const warning of next.warnings) warn(warning)
    say(`TLS: new connections use ${next.description}`)
  }
  const reload = () => {
    try {
      prepare().apply()
    } catch (error) {
      // Nor does an error of BoringSSL or of the port change anything.
      const reason = error instanceof SettingsError ? error.faults.join('; ') : String(error)
      warn(`the changed certificate cannot be used, so the old one stays: ${reason}`)
    }
  }
  const files = tlsFiles(settings)
  let quietLooks = Number.POSITIVE_INFINITY
  const look = (isChanged: boolean) => {
    quietLooks = isChanged ? 0 : quietLooks + 1
    // Each file was checked once since the last change.
    if (quietLooks === files.length) reload()
  }
  const stops = files.map((path) => watchFile(path, look, pollMs === undefined ? {} : { pollMs }))
  return {
    prepare,
    close: () => {
      for (const stop of stops) stop()
    },
  }
}
