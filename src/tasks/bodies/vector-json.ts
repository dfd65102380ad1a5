import { elementsOf, elementWriter, shortestFloat32 } from '../../tensor/numbers.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { breathe } from '../breath.ts'

/**
 * Vectors as JSON, each as short as its FP32 numbers allow. Others are answered in between: many long vectors take a while.
 */
export async function vectorTexts(vectors: readonly Float32Array[]): Promise<readonly string[]> {
  const texts: string[] = []
  for (const data of vectors) {
    const tensor = { datatype: 'FP32', shape: [data.length], data } as const
    const elements = elementsOf(tensor)
    texts.push(elements === undefined ? withTexts(tensor) : JSON.stringify(elements))
    await breathe()
  }
  return texts
}

/** The JSON of numbers of which some are not finite. */
function withTexts(tensor: Tensor): string {
  const write = elementWriter(tensor, 'texts')
  return `[${Array.from({ length: tensor.data.length }, (_, index) => write(index)).join(',')}]`
}

/** A score as the shortest number that reads back as the same FP32. */
export function shortScore(score: number): number {
  return Number(shortestFloat32(Math.fround(score)))
}
