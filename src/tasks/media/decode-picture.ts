import sharp, { type Metadata, type SharpOptions } from 'sharp'
import type { Pixels } from '../image/pixels.ts'

/** Pixels of a picture; more is a decompression bomb, or needs a model of its own. */
const PICTURE_PIXELS_MAX = 50_000_000
/** Pixels of a side: decoders take long for each row, however short it is. */
const SIDE_PIXELS_MAX = 65_535
const FORMATS = ['jpeg', 'png', 'webp', 'gif', 'tiff', 'avif'] as const
const LOADERS = ['Jpeg', 'Png', 'Webp', 'Nsgif', 'Tiff', 'Heif'].map((name) => `VipsForeignLoad${name}`)

// One picture at a time, in a process that is one of several; what was decoded is never asked for again.
sharp.cache(false)
sharp.concurrency(1)
// Everything else is blocked: SVG and PDF are programs, and magick reads a hundred formats.
sharp.block({ operation: ['VipsForeignLoad'] })
sharp.unblock({ operation: LOADERS })

/** What the caller sent is no picture that can be read. */
export class PictureError extends Error {
  override readonly name = 'PictureError'
}

/**
 * Decodes a picture to 8 bits of red, green and blue, upright as its EXIF data says: the first frame of an animation, without alpha, whose
 * colours stay as they are stored, but for CMYK.
 * @throws PictureError in words that complete "the picture …"
 */
export async function decodePicture(bytes: Uint8Array): Promise<Pixels> {
  if (bytes.length === 0) throw new PictureError('has no bytes')
  const options = { failOn: 'error', limitInputPixels: PICTURE_PIXELS_MAX, sequentialRead: true } as const
  const { format, compression, space, width, height } = await metadataOf(bytes, options)
  // The pixels of every other format are those that Pillow and OpenCV read; CMYK without its profile is another picture.
  const ignoreIcc = space !== 'cmyk'
  if (!isAllowed(format, compression)) throw new PictureError(`is of the format ${format}; ${REMEDY}`)
  if (Math.max(width, height) > SIDE_PIXELS_MAX)
    throw new PictureError(`has ${width}×${height} pixels; a side may have ${SIDE_PIXELS_MAX}`)
  try {
    const upright = sharp(bytes, { ...options, ignoreIcc })
      .autoOrient()
      .removeAlpha()
      .toColourspace('srgb')
    const { data, info } = await upright.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true })
    if (info.channels !== 3) throw new PictureError(`has ${info.channels} channels once it is decoded`)
    return { width: info.width, height: info.height, channels: 3, data }
  } catch (error) {
    throw error instanceof PictureError ? error : errorOf(error, 'is damaged or cut off')
  }
}

const REMEDY = `send one of ${FORMATS.map((name) => name.toUpperCase()).join(', ')}`

async function metadataOf(bytes: Uint8Array, options: SharpOptions): Promise<Metadata> {
  try {
    return await sharp(bytes, options).metadata()
  } catch (error) {
    throw errorOf(error, `is in no format that this server reads, or is damaged; ${REMEDY}`)
  }
}

function errorOf(error: unknown, otherwise: string): PictureError {
  const text = error instanceof Error ? error.message : String(error)
  if (/pixel limit/i.test(text))
    return new PictureError(`has more than ${PICTURE_PIXELS_MAX / 1e6} million pixels; send a smaller one`)
  return new PictureError(otherwise, { cause: error })
}

/** libvips calls AVIF a compression of HEIF, of which the others are not allowed. */
function isAllowed(format: string, compression: string | undefined): boolean {
  return format === 'heif' ? compression === 'av1' : FORMATS.some((name) => name === format)
}

/** Writes bytes of grey as a PNG. */
export async function greyPng(data: Uint8Array, width: number, height: number): Promise<Uint8Array> {
  const png = await sharp(data, { raw: { width, height, channels: 1 }, limitInputPixels: PICTURE_PIXELS_MAX })
    .toColourspace('b-w')
    .png({ compressionLevel: 3, adaptiveFiltering: false })
    .toBuffer()
  return png
}
