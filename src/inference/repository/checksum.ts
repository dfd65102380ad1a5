import { statSync } from 'node:fs'
import { join } from 'node:path'
import { isInnerPath } from './inner-path.ts'

/**
 * Compares the files of a version, and those beside the versions, with the checksums that the model's file names.
 * @throws Error naming the file, when one differs, is missing or has no checksum
 */
export async function verifyChecksums(
  checksums: ReadonlyMap<string, string>,
  { folder, version, fileName }: { readonly folder: string; readonly version: string; readonly fileName: string },
): Promise<void> {
  if (checksums.size === 0) return
  const own = `${version}/`
  // Once checksums exist, a file without one is not trusted.
  if (!checksums.has(own + fileName)) throw new Error(`model.toml: "sha256" has no checksum of ${own}${fileName}`)
  for (const [path, expected] of checksums) {
    if (!isInnerPath(path))
      throw new Error(`model.toml: "sha256" names ${JSON.stringify(path)}, which is not a path inside the folder`)
    const isOther = /^\d+\//.test(path) && !path.startsWith(own)
    if (!isOther && (await sha256Of(join(folder, path))) !== expected) {
      throw new Error(`${path} is not the file whose SHA-256 model.toml names`)
    }
  }
}

async function sha256Of(path: string): Promise<string | undefined> {
  // A pipe would be waited for, and a device may have no end.
  if (statSync(path, { throwIfNoEntry: false })?.isFile() !== true) return undefined
  const hasher = new Bun.CryptoHasher('sha256')
  for await (const chunk of Bun.file(path).stream()) hasher.update(chunk)
  return hasher.digest('hex')
}
