import { accessSync, constants, type Stats, statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Settings } from '../config/settings.ts'
import { databaseAddress } from '../server/database-address.ts'
import { developmentSecretPath } from '../server/development-secret.ts'
import { keyFilePath } from '../server/load-keys.ts'
import { isPostgresAddress } from '../storage/address.ts'
import { auditPaths } from '../storage/audit-log.ts'
import { type Finding, note, right, type Subject, wrong } from './finding.ts'

const OTHERS = 0o077
const { R_OK, W_OK, X_OK } = constants

/** Checks that the data folder and every file with a secret can be used, and only by their owner. */
export function lookAtFiles({ settings, file }: Subject): readonly Finding[] {
  const { data } = settings
  const paths = new Set(privateFiles(settings))
  if (file?.hasSecrets === true) paths.add(file.path)
  const present = [...paths].filter((path) => statOf(path) !== undefined)
  const findings = [...lookAtFolder(data), ...present.flatMap(lookAtFile)]
  const isRoot = process.getuid?.() === 0
  return [
    ...(findings.length > 0 ? findings : [right(`${data} and ${count(present.length)} in use are only for their owner`)]),
    ...(isRoot ? [note('root may read and write everything: run this as the user that runs the server')] : []),
  ]
}

/** Files that hold keys, passwords or what people did, wherever the settings put them. */
function privateFiles(settings: Settings): readonly string[] {
  const { data, keyFile, decryptionKeyFile, tlsKey } = settings
  const store = databaseAddress(settings)
  return [
    developmentSecretPath(data),
    keyFilePath({ data, keyFile }),
    ...(isPostgresAddress(store) ? [] : [store, `${store}-wal`, `${store}-shm`]),
    ...auditPaths(data),
    ...[decryptionKeyFile, tlsKey].filter((path) => path !== undefined),
  ]
}

function lookAtFolder(folder: string): readonly Finding[] {
  const stat = statOf(folder)
  if (stat === undefined) {
    const parent = existing(resolve(folder))
    if (may(parent, W_OK | X_OK)) return [note(`the data folder ${folder} is not there yet; the first start makes it`)]
    return [
      wrong(
        `the data folder ${folder} is not there and cannot be made`,
        'Make it, owned by the user that runs the server, or name another with --data.',
      ),
    ]
  }
  if (!stat.isDirectory()) return [wrong(`the data folder ${folder} is a file`, 'Name a folder with --data.')]
  if (!may(folder, R_OK | W_OK | X_OK))
    return [
      wrong(
        `the data folder ${folder} cannot be written`,
        `Make it the property of the user that runs the server (chown), or name another with --data.`,
      ),
    ]
  if (!isOpen(stat)) return []
  return [wrong(`the data folder ${folder} is open to others (mode ${modeOf(stat)})`, `chmod 700 ${folder}`)]
}

function lookAtFile(path: string): readonly Finding[] {
  const stat = statOf(path)
  if (stat === undefined) return []
  if (!may(path, R_OK)) return [wrong(`${path} cannot be read`, 'Make it the property of the user that runs the server (chown).')]
  if (!isOpen(stat)) return []
  return [wrong(`${path} can be read or written by others (mode ${modeOf(stat)})`, `chmod 600 ${path}`)]
}

/** Windows has no such mode. */
function isOpen({ mode }: Stats): boolean {
  return process.platform !== 'win32' && (mode & OTHERS) !== 0
}

function modeOf({ mode }: Stats): string {
  return (mode & 0o777).toString(8)
}

function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false })
  } catch {
    // A folder above it may not be entered: what is wrong with that is found where the folder is looked at.
    return undefined
  }
}

function may(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    // The system says no.
    return false
  }
}

/** The nearest folder above that is there. */
function existing(path: string): string {
  return statOf(path) === undefined && dirname(path) !== path ? existing(dirname(path)) : path
}

function count(files: number): string {
  return files === 1 ? 'one file' : `${files} files`
}
