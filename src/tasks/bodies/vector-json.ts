import { elementWriter, shortestFloat32 } from '../../tensor/numbers.ts'
import { breathe } from '../breath.ts'

/**
 * Vectors as JSON, each as short as its FP32 numbers allow. Others are answered in between: many long vectors take a while.
 */
export async function vectorTexts(vectors: readonly Float32Array[]): Promise<readonly string[]> {
  const texts: string[] = []
  for (const data of vectors) {
    const write = elementWriter({ datatype: 'FP32', shape: [data.length], data }, 'texts')
    texts.push(`[${Array.from(data, (_, index) => write(index)).join(',')}]`)
    await breathe()
  }
  return texts
}

/** A score as the shortest number that reads back as the same FP32. */
export function shortScore(score: number): number {
  return Number(shortestFloat32(Math.fround(score)))
}
