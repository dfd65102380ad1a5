import { type BigIntStats, readFileSync, statSync } from 'node:fs'
import { SettingsError } from '../config/load.ts'
import { reasonOfFile } from '../core/file-reason.ts'

const FILE_BYTES_MAX = 1024 * 1024
const OTHERS = 0o077
const ATTEMPTS = 5

/**
 * The bytes of a file of at most 1 MiB, all of one state: the beginning of a new key with the end of an old one could be used as a shared secret.
 * @throws SettingsError naming the file, also where it was written during each of five readings
 */
export function readSmallFile(path: string): Buffer {
  try {
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const before = statSync(path, { bigint: true })
      if (before.size > FILE_BYTES_MAX) throw new SettingsError([`${path}: is too large for a key file`])
      const bytes = readFileSync(path)
      if (fileIdentity(path) === identityOf(before)) return bytes
    }
  } catch (error) {
    throw error instanceof SettingsError ? error : new SettingsError([`${path}: cannot be read: ${reasonOfFile(error)}`])
  }
  throw new SettingsError([`${path}: cannot be read: it is written all the time; write another file and rename it to this one`])
}

/** What is different after every change: a file that is replaced is another, and one that is written has another time. */
export function fileIdentity(path: string): string {
  const stat = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stat === undefined ? 'none' : identityOf(stat)
}

function identityOf({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
}

/** True where the mode lets others than the owner read or write the file. Windows has no such mode. */
export function isOpenToOthers(path: string): boolean {
  const stat = statSync(path, { throwIfNoEntry: false })
  return process.platform !== 'win32' && stat !== undefined && (stat.mode & OTHERS) !== 0
}
