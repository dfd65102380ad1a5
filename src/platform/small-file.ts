import { readFileSync, statSync } from 'node:fs'
import { SettingsError } from '../config/load.ts'
import { reasonOfFile } from '../core/file-reason.ts'

const FILE_BYTES_MAX = 1024 * 1024
const OTHERS = 0o077

/** The bytes of a file of at most 1 MiB. @throws SettingsError naming the file */
export function readSmallFile(path: string): Buffer {
  try {
    if (statSync(path).size > FILE_BYTES_MAX) throw new SettingsError([`${path}: is too large for a key file`])
    return readFileSync(path)
  } catch (error) {
    throw error instanceof SettingsError ? error : new SettingsError([`${path}: cannot be read: ${reasonOfFile(error)}`])
  }
}

/** True where the mode lets others than the owner read or write the file. Windows has no such mode. */
export function isOpenToOthers(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false })
  return process.platform !== 'win32' && stat !== undefined && (stat.mode & OTHERS) !== 0
}
