// What the mock server knows of the bank: enough of each kind to look at.
const checklist = (name, steps) => [{ id: 'sop-card-fraud', name, intents: ['card_fraud', 'card_dispute'], steps }];
const ids = ['soothe', 'verify', 'lock', 'register', 'time-limit', 'advise'];
const steps = (names) => ids.map((id, i) => ({ id, name: names[i], hint: names[i] }));

const RUBRIC = [
  ['opening-greeting', 'service', '规范开场', 'Standard greeting'],
  ['staff-number', 'service', '报工号', 'Says the staff number'],
  ['soothing', 'communication', '安抚客户情绪', 'Calms the customer'],
  ['identity-verification', 'business', '核对客户身份', 'Verifies identity'],
  ['fraud-loss-stopped', 'business', '先止损再登记', 'Stops the loss first'],
  ['dispute-registered', 'business', '登记否认交易', 'Registers the dispute'],
  ['time-limit-told', 'business', '告知处理时限', 'Tells the time limit'],
  ['no-forbidden-promise', 'fatal', '不作违规承诺', 'Makes no forbidden promise'],
  ['recording-notice', 'compliance', '告知通话录音', 'Says the call is recorded'],
  ['wealth-risk-disclosure', 'compliance', '理财风险揭示', 'Discloses investment risk'],
  ['closing-phrase', 'service', '规范结束语', 'Standard closing'],
];
const SECTIONS = {
  zh: { service: '服务规范', business: '业务规范', compliance: '合规', communication: '沟通', fatal: '致命项' },
  en: {
    service: 'Service',
    business: 'Business',
    compliance: 'Compliance',
    communication: 'Communication',
    fatal: 'Fatal',
  },
};
const rubric = (at) =>
  Object.fromEntries(RUBRIC.map((r) => [r[0], { name: r[at], description: r[at], section: r[1] }]));

export const LABELS = {
  zh: {
    intents: {
      card_fraud: '信用卡盗刷',
      card_dispute: '交易争议',
      card_loss: '挂失补卡',
      card_apply: '办卡',
      card_bill: '账单',
      transfer_wrong: '转错账',
      loan_prepay: '提前还贷',
    },
    categories: { card: '信用卡', 'card-fraud': '盗刷与否认交易', 'card-loss': '挂失补卡', 'card-dispute': '账单争议' },
    category_tree: [
      {
        id: 'card',
        name: '信用卡',
        children: [
          { id: 'card-fraud', name: '盗刷与否认交易' },
          { id: 'card-loss', name: '挂失补卡' },
          { id: 'card-dispute', name: '账单争议' },
        ],
      },
    ],
    rubric_items: rubric(2),
    rubric_sections: SECTIONS.zh,
    checklists: checklist(
      '信用卡盗刷处理',
      steps(['安抚情绪', '核实身份', '冻结卡片', '登记否认交易', '告知时限', '提醒防范']),
    ),
    compliance_rules: {
      'promise-recovery': {
        name: '违规承诺',
        advice: '不得承诺「一定能追回」，请改说「我们会尽力协助追查」。',
        severity: 'critical',
      },
    },
  },
  en: {
    intents: {
      card_fraud: 'Stolen card use',
      card_dispute: 'Disputed charge',
      card_loss: 'Card loss',
      card_apply: 'New card',
      card_bill: 'Statement',
      transfer_wrong: 'Wrong transfer',
      loan_prepay: 'Early repayment',
    },
    category_tree: [
      {
        id: 'card',
        name: 'Credit cards',
        children: [
          { id: 'card-fraud', name: 'Fraud' },
          { id: 'card-loss', name: 'Lost card' },
          { id: 'card-dispute', name: 'Billing dispute' },
        ],
      },
    ],
    categories: {
      card: 'Credit card',
      'card-fraud': 'Fraud and denied charges',
      'card-loss': 'Loss and replacement',
      'card-dispute': 'Statement dispute',
    },
    rubric_items: rubric(3),
    rubric_sections: SECTIONS.en,
    checklists: checklist(
      'Stolen card use',
      steps(['Calm', 'Verify identity', 'Lock the card', 'Register dispute', 'Tell time limit', 'Advise']),
    ),
    compliance_rules: {
      'promise-recovery': {
        name: 'Forbidden promise',
        advice: 'Never promise the money will be recovered. Say that we will help to trace it.',
        severity: 'critical',
      },
    },
  },
};

const article = (article_id, title, answer, questions) => ({
  article_id,
  version: 1,
  language: 'zh',
  domain: 'cards',
  title,
  body: answer,
  kind: 'faq',
  answer,
  questions,
  products: ['credit_card'],
  channels: ['phone'],
  intent: '',
  tags: [],
  owner: '信用卡中心知识组',
  valid_from: '2026-01-01',
  valid_to: null,
  state: 'published',
  source: '',
});
export const ARTICLES = [
  article(
    'card-loss-replace',
    '信用卡丢失怎么挂失补卡，补卡要多久、收不收费',
    '您好，我可以马上为您挂失。挂失立即生效，新卡五到七个工作日寄到您的账单地址，普通挂失补卡工本费十五元，金卡及以上免收。',
    ['补一张新卡要等几天', '补卡要不要工本费'],
  ),
  article(
    'card-fraud-report',
    '信用卡被盗刷怎么办',
    '您先别着急，我马上为您冻结这张卡，防止再有交易。请核对一下最近几笔消费，不是您本人的我为您登记否认交易。',
    ['我的卡被人盗刷了'],
  ),
  article('card-annual-fee', '信用卡年费怎么收，怎么免', '金卡年费每年二百元，当年消费满六次免次年年费。', [
    '年费能不能免',
  ]),
];

const says = (entry) => entry.envelopes.map((e) => e.event).filter((e) => e.type === 'utterance_final');
const quote = (u) => ({
  utterance_id: u.utterance_id,
  channel: u.channel,
  start_ms: u.start_ms,
  end_ms: u.end_ms,
  quote: u.text,
  confidence: u.confidence,
});

export function artifactsFor(entry) {
  const said = Object.fromEntries(says(entry).map((u) => [u.utterance_id, u]));
  if (said['agent-6'] === undefined) return [];
  const item = (item_id, answer, max_points, uid, reason = '', fatal = false) => ({
    item_id,
    section: RUBRIC.find((r) => r[0] === item_id)[1],
    answer,
    points: answer === 'pass' ? max_points : 0,
    max_points,
    fatal,
    confidence: 0.9,
    reason,
    evidence: uid === null ? [] : [quote(said[uid])],
  });
  const all = [
    {
      kind: 'summary',
      version: 1,
      body: {
        language: 'zh',
        overall:
          '客户反映信用卡昨天被盗刷三千元。坐席核实身份后冻结卡片，登记否认交易，并说明争议款项在调查期间暂缓还款。',
        problems: [
          { text: '信用卡昨天被人刷了三千元，非本人交易', utterance_ids: ['customer-1'] },
          { text: '争议金额是否需要先还', utterance_ids: ['customer-3'] },
        ],
        actions: [
          { text: '核对身份并冻结卡片', utterance_ids: ['agent-2', 'agent-3'] },
          { text: '登记否认交易', utterance_ids: ['agent-4'] },
        ],
        commitments: [{ text: '二十个工作日内给出调查答复', utterance_ids: ['agent-4'] }],
        follow_ups: [{ text: '新卡五到七个工作日寄到账单地址', utterance_ids: ['agent-5'] }],
        method: 'extractive',
        model: '',
      },
    },
    {
      kind: 'ticket',
      version: 1,
      body: {
        level1: 'card',
        level2: 'card-fraud',
        confidence: 0.88,
        taxonomy_version: '2026-11',
        alternatives: [
          { level1: 'card', level2: 'card-dispute', confidence: 0.41 },
          { level1: 'card', level2: 'card-loss', confidence: 0.19 },
        ],
        evidence: ['customer-1', 'agent-4'],
        measures: ['冻结原卡，补发新卡', '二十个工作日内反馈争议调查结果'],
      },
    },
    {
      kind: 'qa',
      version: 1,
      body: {
        rubric_version: '2026-11',
        score: 0,
        fatal: true,
        items: [
          item('opening-greeting', 'pass', 5, 'agent-1'),
          item('staff-number', 'pass', 5, 'agent-1'),
          item('soothing', 'pass', 10, 'agent-2'),
          item('identity-verification', 'pass', 15, 'agent-2'),
          item('fraud-loss-stopped', 'pass', 15, 'agent-3'),
          item('dispute-registered', 'pass', 10, 'agent-4'),
          item('time-limit-told', 'pass', 10, 'agent-4'),
          item('no-forbidden-promise', 'fail', 10, 'agent-3', '承诺了不能保证的结果', true),
          item('recording-notice', 'fail', 5, null, '全程没有说明通话录音'),
          item('wealth-risk-disclosure', 'na', 10, null),
          item('closing-phrase', 'pass', 5, 'agent-6'),
        ],
      },
    },
  ];
  return all.filter((a) => entry.call.artifacts.includes(a.kind));
}
