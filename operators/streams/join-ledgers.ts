/**
 * What becomes of everything that the join takes in, by counts: taken = used + reasons + pending, for decisions, rewards and activations. The
 * reasons are closed lists.
 */
/** What is counted apart. */
export type JoinKind = 'decisions' | 'rewards' | 'activations'
export const JOIN_KINDS = ['decisions', 'rewards', 'activations'] as const satisfies readonly JoinKind[]

/**
 * Why a decision, a reward or an activation went into no outcome: closed lists. New ones are added at the end, since committed progress
 * counts by place.
 */
export const JOIN_REASONS = {
  decisions: ['duplicate-decision', 'decision-behind-watermark', 'not-activated', 'from-the-future'],
  rewards: [
    'duplicate-reward',
    'conflicting-reward',
    'surplus-reward',
    'late-reward',
    'reward-behind-watermark',
    'unknown-decision',
    'not-activated',
    'from-the-future',
  ],
  activations: [
    'duplicate-activation',
    'late-activation',
    'activation-behind-watermark',
    'unknown-decision',
    'from-the-future',
  ],
} as const satisfies Readonly<Record<JoinKind, readonly string[]>>

export type JoinReason<K extends JoinKind = JoinKind> = (typeof JOIN_REASONS)[K][number]

export interface JoinLedger<K extends JoinKind = JoinKind> {
  taken: number
  /** Decisions that became an outcome; rewards and activations that went into one. */
  used: number
  /** Undecided yet. */
  pending: number
  readonly reasons: Record<JoinReason<K>, number>
}

export type JoinCounts = { readonly [K in JoinKind]: JoinLedger<K> }

/** Counts of nothing. */
export const noCounts = (): JoinCounts => {
  const ledger = <K extends JoinKind>(kind: K): JoinLedger<K> => ({
    taken: 0,
    used: 0,
    pending: 0,
    reasons: Object.fromEntries(JOIN_REASONS[kind].map((reason) => [reason, 0])) as Record<
      JoinReason<K>,
      number
    >,
  })
  return { decisions: ledger('decisions'), rewards: ledger('rewards'), activations: ledger('activations') }
}

/** A copy that stays as it is. */
export const countsNow = ({ decisions, rewards, activations }: JoinCounts): JoinCounts => ({
  decisions: { ...decisions, reasons: { ...decisions.reasons } },
  rewards: { ...rewards, reasons: { ...rewards.reasons } },
  activations: { ...activations, reasons: { ...activations.reasons } },
})

/** Goes on from what was counted once, with what is pending now: what was taken follows. @param counted null where nobody counted */
export const goOn = (counts: JoinCounts, counted: JoinCounts | null): void => {
  for (const kind of JOIN_KINDS) {
    const ledger: Ledger = counts[kind]
    const before: Ledger = (counted ?? NOTHING)[kind]
    ledger.used = before.used
    ledger.taken = ledger.pending + before.used
    for (const reason of JOIN_REASONS[kind]) {
      const count = before.reasons[reason]!
      ledger.reasons[reason] = count
      ledger.taken += count
    }
  }
}

/** Any ledger, its reasons by name. */
type Ledger = Omit<JoinLedger, 'reasons'> & { readonly reasons: Record<string, number> }

const NOTHING = noCounts()
