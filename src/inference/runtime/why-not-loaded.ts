import { readdirSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, extname, join, sep } from 'node:path'
import { nearestOf } from '../../core/nearest.ts'
import { type DataFile, externalConstantsOf, externalFault } from '../onnx/external-data.ts'
import { cutOff, fileKind, HEAD_BYTES, isOrtFormat } from '../onnx/file-kind.ts'
import { headOf, withFile } from '../repository/source.ts'
import { isUnreadable, loadReason } from './load-reason.ts'

/** Models that are larger are not read again to find out what is wrong: their weights are inside. */
const MODEL_BYTES_MAX = 512 * 1024 * 1024
/** How a Git LFS pointer begins. */
const POINTER = 'version https://git-lfs.github.com/spec/'

/** Files beside a model that are looked at before it is loaded, and the size of a pointer at most. */
const [FILES_MAX, POINTER_BYTES_MAX] = [1000, 1024]

/**
 * Why a model must not be loaded although ONNX Runtime would: a Git LFS pointer beside it is long enough to be taken for small weights,
 * and every answer would be wrong. Undefined where there is none.
 */
export async function pointerAmongWeights(path: string): Promise<string | undefined> {
  const folder = dirname(path)
  const isPointer = (name: string) => {
    const { size } = statSync(join(folder, name))
    return size <= POINTER_BYTES_MAX && isPointerAt(join(folder, name))
  }
  try {
    const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isFile() && entry.name !== basename(path))
    return files.slice(0, FILES_MAX).some(({ name }) => isPointer(name)) ? await faultOfExternalData(path) : undefined
  } catch {
    // The load says what cannot be read.
    return undefined
  }
}

/** Why ONNX Runtime did not load a file, of its text and of the file itself; safe to show. */
export async function whyNotLoaded(text: string, path: string): Promise<string> {
  return (
    kindOf(path) ?? (await faultOfExternalData(path)) ?? (isUnreadable(text) ? cutOffAt(path) : undefined) ?? loadReason(text)
  )
}

/** What the file is where it is no ONNX model. One that is named as a model in ORT format may be one. */
function kindOf(path: string): string | undefined {
  try {
    const head = headOf(path, HEAD_BYTES)
    return extname(path) === '.ort' && isOrtFormat(head) ? undefined : fileKind(head)
  } catch {
    // The runtime's text says that it cannot be read.
    return undefined
  }
}

function cutOffAt(path: string): string | undefined {
  try {
    return withFile(path, (size, readAt) => cutOff(size, readAt))
  } catch {
    return undefined
  }
}

async function faultOfExternalData(path: string): Promise<string | undefined> {
  try {
    const file = Bun.file(path)
    if (file.size > MODEL_BYTES_MAX) return undefined
    return externalFault(externalConstantsOf(await file.bytes()), (location) => lookAtData(path, location))
  } catch {
    // No model, or one that cannot be read: the runtime's text says which.
    return undefined
  }
}

/** What stands at a place in the model's folder. */
function lookAtData(model: string, location: string): DataFile {
  const folder = dirname(model)
  const path = join(folder, location)
  try {
    const stat = statSync(path, { throwIfNoEntry: false })
    if (stat === undefined) return missing(model, location)
    if (stat.isDirectory()) return { kind: 'folder' }
    // Links count as what they lead to.
    if (!realpathSync(path).startsWith(`${realpathSync(folder)}${sep}`)) return { kind: 'outside' }
    if (!stat.isFile()) return { kind: 'special' }
    if (isPointerAt(path)) return { kind: 'pointer' }
    return { kind: 'file', size: stat.size }
  } catch (error) {
    return { kind: 'unreadable', code: error instanceof Error && 'code' in error ? String(error.code) : 'unknown error' }
  }
}

/** A dangling link counts as missing. A similar name is suggested, and so is the only other file in the folder. */
function missing(model: string, location: string): DataFile {
  const entries = readdirSync(dirname(model))
  if (entries.includes(location)) return { kind: 'lost' }
  const others = entries.filter((name) => name !== basename(model))
  const near = nearestOf(location, others) ?? (others.length === 1 ? others[0] : undefined)
  return { kind: 'missing', ...(near !== undefined && { near }) }
}

function isPointerAt(path: string): boolean {
  return headOf(path, POINTER.length).toString() === POINTER
}
