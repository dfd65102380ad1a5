/** A seven, as the bundled model `digits` takes it. */
const SEVEN = [
  0, 0, 3, 15, 16, 16, 6, 0, 0, 0, 3, 14, 7, 15, 3, 0, 0, 0, 0, 0, 4, 14, 0, 0, 0, 0, 2, 9, 15, 16, 14, 0, 0, 0, 7, 16, 14, 6, 2,
  0, 0, 0, 0, 8, 8, 0, 0, 0, 0, 0, 2, 16, 2, 0, 0, 0, 0, 0, 5, 12, 0, 0, 0, 0,
]

/** The one request that every server is asked. */
export const BODY = JSON.stringify({ inputs: [{ name: 'image', datatype: 'FP32', shape: [1, 64], data: SEVEN }] })

/** What a right answer is like. */
export const ANSWER = {
  model_name: 'digits',
  model_version: '1',
  outputs: [
    { name: 'label', datatype: 'INT64', shape: [1], data: [7] },
    {
      name: 'probabilities',
      datatype: 'FP32',
      shape: [1, 10],
      data: [3.423945e-7, 0.000009633922, 0.00017371561, 0.0015230178, 0.00011, 0.0000021, 5.1e-9, 0.99791, 0.00011, 0.00016],
    },
  ],
}

/** True for an answer that says seven. */
export function isSeven(answer: unknown): boolean {
  const { outputs } = answer as { outputs?: { name: string; data: unknown[] }[] }
  return outputs?.find(({ name }) => name === 'label')?.data.flat()[0] === 7
}
