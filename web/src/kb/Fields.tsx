// The form of an article. Lists are one entry a line.
import type { Key } from '../i18n/translate.ts';
import { useApp } from '../ui/app.ts';
import type { Text } from './requests.ts';

export const fieldId = (name: string): string => `kb-field-${name}`;
const LINES = (text: string): string[] => text.split('\n');
const COMMAS = (text: string): string[] =>
  text
    .split(/[,，、\n]/)
    .map((part) => part.trim())
    .filter((part) => part !== '');

interface Props {
  text: Text;
  disabled: boolean;
  /** An article keeps the language it was begun in. */
  fixedLanguage: boolean;
  onChange: (change: Partial<Text>) => void;
}

export function Fields({ text, disabled, fixedLanguage, onChange }: Props) {
  const t = useApp().t.value;
  const line = (name: 'title' | 'source' | 'owner' | 'intent' | 'domain', max: number) => (
    <label class="kb-field" for={fieldId(name)}>
      {t(`kbc.field.${name}` as Key)}
      <input
        id={fieldId(name)}
        type="text"
        value={text[name]}
        maxLength={max}
        disabled={disabled}
        data-testid={`kb-${name}`}
        onInput={(e) => onChange({ [name]: e.currentTarget.value })}
      />
    </label>
  );
  const area = (name: 'answer' | 'body', rows: number, hint: Key) => (
    <label class="kb-field" for={fieldId(name)}>
      {t(`kbc.field.${name}` as Key)}
      <span class="dim">
        {t(hint)} <span class="num">{text[name].length}</span>
      </span>
      <textarea
        id={fieldId(name)}
        rows={rows}
        value={text[name]}
        disabled={disabled}
        data-testid={`kb-${name}`}
        onInput={(e) => onChange({ [name]: e.currentTarget.value })}
      />
    </label>
  );
  const tags = (name: 'products' | 'channels' | 'tags') => (
    <label class="kb-field" for={fieldId(name)}>
      {t(`kbc.field.${name}` as Key)}
      <input
        id={fieldId(name)}
        type="text"
        defaultValue={text[name].join('、')}
        disabled={disabled}
        data-testid={`kb-${name}`}
        onInput={(e) => onChange({ [name]: COMMAS(e.currentTarget.value) })}
      />
    </label>
  );
  const day = (name: 'valid_from' | 'valid_to') => (
    <label class="kb-field" for={fieldId(name)}>
      {t(`kbc.field.${name}` as Key)}
      <input
        id={fieldId(name)}
        type="date"
        value={text[name] ?? ''}
        disabled={disabled}
        data-testid={`kb-${name}`}
        onInput={(e) => onChange({ [name]: e.currentTarget.value === '' ? null : e.currentTarget.value })}
      />
    </label>
  );
  return (
    <form class="kb-panel kb-form" onSubmit={(e) => e.preventDefault()}>
      {line('title', 400)}
      <label class="kb-field" for={fieldId('questions')}>
        {t('kbc.field.questions')}
        <span class="dim">{t('kbc.hint.questions')}</span>
        <textarea
          id={fieldId('questions')}
          rows={4}
          defaultValue={text.questions.join('\n')}
          disabled={disabled}
          data-testid="kb-questions"
          onInput={(e) => onChange({ questions: LINES(e.currentTarget.value) })}
        />
      </label>
      {area('answer', 4, 'kbc.hint.answer')}
      {area('body', 8, 'kbc.hint.body')}
      <div class="kb-pair">
        {tags('products')}
        {tags('channels')}
        {tags('tags')}
        <label class="kb-field" for={fieldId('audience')}>
          {t('kbc.field.audience')}
          <select
            id={fieldId('audience')}
            value={text.audience}
            disabled={disabled}
            onChange={(e) => onChange({ audience: e.currentTarget.value as Text['audience'] })}
          >
            <option value="customer">{t('kbc.audience.customer')}</option>
            <option value="agent">{t('kbc.audience.agent')}</option>
          </select>
        </label>
        {day('valid_from')}
        {day('valid_to')}
        <label class="kb-field" for={fieldId('language')}>
          {t('kbc.field.language')}
          <select
            id={fieldId('language')}
            value={text.language}
            disabled={disabled || fixedLanguage}
            onChange={(e) => onChange({ language: e.currentTarget.value })}
          >
            <option value="zh">中文</option>
            <option value="en">English</option>
          </select>
        </label>
        <label class="kb-field" for={fieldId('kind')}>
          {t('kbc.field.kind')}
          <select
            id={fieldId('kind')}
            value={text.kind}
            disabled={disabled}
            onChange={(e) => onChange({ kind: e.currentTarget.value as Text['kind'] })}
          >
            <option value="faq">{t('kbc.kind.faq')}</option>
            <option value="article">{t('kbc.kind.article')}</option>
          </select>
        </label>
        {line('owner', 200)}
        {line('intent', 200)}
      </div>
      {line('source', 1000)}
    </form>
  );
}
