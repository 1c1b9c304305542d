/** Policies whose arms come and go, start from a shared prior, or forget: under the laws of every policy. */
import { type LinUcbOptions, linTs, linUcb } from '../../../../operators/bandits/index.ts'
import { describePolicyLaws } from '../laws.ts'

const common = { dimension: 3, alpha: 0.5, explorationFloor: 0.02, refreshEvery: 5 } as const

const VARIANTS: readonly Partial<LinUcbOptions>[] = [
  { maxArms: 3 },
  { maxArms: 3, forgetting: { discount: 0.9 } },
  { forgetting: { window: 7 } },
  { prior: 'pooled' },
  { prior: 'pooled', forgetting: { discount: 0.9 } },
  { prior: 'pooled', forgetting: { window: 7 }, maxArms: 3 },
  { variant: 'shared', forgetting: { discount: 0.9 } },
  { variant: 'shared', forgetting: { window: 7 } },
]

for (const options of VARIANTS) {
  const full: LinUcbOptions = { variant: 'disjoint', ...common, ...options }
  describePolicyLaws(`LinUCB with ${JSON.stringify(options)}`, {
    make: () => linUcb(full),
    explorationFloor: 0.02,
  })
}

describePolicyLaws('LinTS, disjoint, pooled, discounted, three arms', {
  make: () =>
    linTs({
      ...{ ...common, variant: 'disjoint', draws: 4 },
      ...{ prior: 'pooled', forgetting: { discount: 0.9 }, maxArms: 3 },
    }),
  explorationFloor: 0.02,
})
describePolicyLaws('LinTS, shared, over a window', {
  make: () => linTs({ ...common, variant: 'shared', draws: 4, forgetting: { window: 7 } }),
  explorationFloor: 0.02,
})
