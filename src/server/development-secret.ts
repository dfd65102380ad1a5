import { randomBytes } from 'node:crypto'
import { chmodSync, linkSync, mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SettingsError } from '../config/load.ts'
import { reasonOfFile } from '../core/file-reason.ts'
import { bytesOfBase64url, isCanonicalBase64url } from '../jose/base64url.ts'
import { isOpenToOthers, readSmallFile } from '../platform/small-file.ts'

/** Bytes of the development secret: enough for HS512. */
const SECRET_BYTES = 64

/** Where a folder keeps its development secret. */
export function developmentSecretPath(folder: string): string {
  return join(folder, 'development-secret')
}

/** Reads the secret of this folder, and creates it where there is none. Of several processes that start at once, one creates it. */
export function developmentSecret(folder: string): { readonly bytes: Buffer; readonly warnings: readonly string[] } {
  const path = developmentSecretPath(folder)
  if (!isThere(folder, path)) makeSecret(folder, path)
  const warnings = isOpenToOthers(path) ? [`${path} was readable by other users; its mode is 600 again`] : []
  if (warnings.length > 0) chmodSync(path, 0o600)
  return { bytes: readDevelopmentSecret(path), warnings }
}

function isThere(folder: string, path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined
  } catch (error) {
    throw new SettingsError([
      `${folder}: the data folder cannot be used: ${reasonOfFile(error)}; choose another folder with --data`,
    ])
  }
}

/** The secret of a file. @throws SettingsError where the file holds none */
export function readDevelopmentSecret(path: string): Buffer {
  const text = readSmallFile(path).toString('utf8').trim()
  const bytes = isCanonicalBase64url(text) ? bytesOfBase64url(text) : Buffer.alloc(0)
  if (bytes.length === SECRET_BYTES) return bytes
  throw new SettingsError([`${path}: does not hold a secret; delete it, and the next start makes a new one`])
}

/** Writes a temporary file and links it into place: the file appears whole, and a link replaces no existing file. */
function makeSecret(folder: string, path: string): void {
  const temporary = `${path}.${process.pid}.${randomBytes(6).toString('hex')}`
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    writeFileSync(temporary, `${randomBytes(SECRET_BYTES).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
    linkSync(temporary, path)
  } catch (error) {
    const isThere = error instanceof Error && 'code' in error && error.code === 'EEXIST'
    if (!isThere) throw new SettingsError([`${folder}: the development secret cannot be written there: ${reasonOfFile(error)}`])
  } finally {
    rmSync(temporary, { force: true })
  }
}
