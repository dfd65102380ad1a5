import { describe, expect, test } from 'bun:test'
import { loadSettings } from '../../../../src/config/load.ts'
import {
  clusterFaults,
  clusterWarnings,
  rejectClusterFaults,
  shareLimits,
} from '../../../../src/server/cluster/process-settings.ts'

function settingsWith(flags: Readonly<Record<string, readonly string[]>>, environment: Readonly<Record<string, string>> = {}) {
  return loadSettings({ flags, environment, directory: '/nowhere' }).settings
}

describe('limits of several processes', () => {
  test('are shared out, so that all of them together keep each', () => {
    const settings = {
      ...settingsWith({ queueMax: ['10'], inputBytesMax: ['100'], addressRequestsPerMinute: ['600'] }),
      rateLimits: [{ role: 'default', requestsPerMinute: 120, concurrent: 3 }],
    }
    const { queueMax, inputBytesMax, addressRequestsPerMinute, rateLimits, signInAttemptsMax, bodyBytesMax } = shareLimits(
      settings,
      4,
    )
    expect({ queueMax, inputBytesMax, addressRequestsPerMinute, rateLimits, signInAttemptsMax }).toEqual({
      // The engine process counts it for all.
      queueMax: 10,
      inputBytesMax: 25,
      addressRequestsPerMinute: 150,
      rateLimits: [{ role: 'default', requestsPerMinute: 30, concurrent: 1 }],
      signInAttemptsMax: 2,
    })
    expect(bodyBytesMax).toBe(settings.bodyBytesMax)
    for (const count of [2, 3, 7, 64]) expect(shareLimits(settings, count).inputBytesMax * count).toBeLessThanOrEqual(100)
  })

  test('stay whole where Redis counts for all', () => {
    const settings = {
      ...settingsWith({ addressRequestsPerMinute: ['600'], inputBytesMax: ['100'] }, { VESTAL_REDIS: 'redis://127.0.0.1:1' }),
      rateLimits: [{ role: 'default', requestsPerMinute: 120 }],
    }
    const { addressRequestsPerMinute, rateLimits, signInAttemptsMax, inputBytesMax } = shareLimits(settings, 4)
    expect({ addressRequestsPerMinute, rateLimits, signInAttemptsMax, inputBytesMax }).toEqual({
      addressRequestsPerMinute: 600,
      rateLimits: settings.rateLimits,
      signInAttemptsMax: settings.signInAttemptsMax,
      inputBytesMax: 25,
    })
    expect(clusterWarnings(settings, 4)).toEqual([])
  })

  test('are warned of where a share is not the whole', () => {
    const plain = settingsWith({})
    expect(clusterWarnings(plain, 4)).toEqual([])
    const settings = {
      ...settingsWith({ addressRequestsPerMinute: ['600'], inputBytesMax: ['3'] }),
      rateLimits: [{ role: 'default' }],
    }
    expect(clusterWarnings(settings, 4).map((warning) => warning.split(':')[0])).toEqual([
      'input_bytes_max',
      'address_requests_per_minute',
      'rate_limits',
    ])
  })
})

describe('several processes', () => {
  test('are refused where no port can be shared', () => {
    expect(clusterFaults(settingsWith({}), 'darwin')).toEqual([expect.stringContaining('on Linux only')])
    expect(() => rejectClusterFaults(settingsWith({ unix: ['a.sock'] }))).toThrow('unix')
    for (const modelControl of ['none', 'poll', 'explicit'])
      expect(clusterFaults(settingsWith({ modelControl: [modelControl] }), 'linux')).toEqual([])
  })
})
