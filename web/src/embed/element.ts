// <pangting-sidebar src="https://pangting.bank.example">: the agent's sidebar in somebody else's page. Built into one file, /embed.js.
//
//   element.token = async () => (await fetch('/crm/pangting-token', { method: 'POST' })).json().then((body) => body.token);
//   element.addEventListener('pangting-adopted', (event) => note.insert(event.detail.text));
//
// Chords pressed in the host page are forwarded and the focus stays where it is; only those that open a field take it, and give it back.
import { type Action, actionOf, chordOf, DEFAULT_KEYS, isPlain, type Keys } from '../core/keys.ts';
import { type FromFrame, type FromHost, readMessage, VERSION } from './messages.ts';

/** These need typing, so the cursor goes to the sidebar until they are done. */
const TYPING: readonly Action[] = ['edit', 'search', 'tools', 'notes', 'help'];

export class PangtingSidebar extends HTMLElement {
  /** Gives a token of the host's back end (docs/how-to/embed.md); without one the agent signs in inside the frame. */
  token: (() => Promise<string>) | null = null;
  #frame: HTMLIFrameElement | null = null;
  #origin = '';
  #keys: Keys = DEFAULT_KEYS;
  #before: HTMLElement | null = null;

  connectedCallback(): void {
    let base: URL;
    try {
      base = new URL(this.getAttribute('src') ?? '', location.href);
    } catch {
      this.textContent = 'pangting-sidebar: src is no address';
      return;
    }
    this.#origin = base.origin;
    const frame = document.createElement('iframe');
    frame.src = `${base.origin}/embed?host=${encodeURIComponent(location.origin)}`;
    frame.title = this.getAttribute('title') ?? '旁听 Pangting';
    frame.allow = 'clipboard-write';
    frame.referrerPolicy = 'no-referrer';
    frame.style.cssText = 'border:0;width:100%;height:100%;display:block';
    this.style.display = 'block';
    this.attachShadow({ mode: 'closed' }).append(frame);
    this.#frame = frame;
    window.addEventListener('message', this.#onMessage);
    document.addEventListener('keydown', this.#onKey, true);
  }

  disconnectedCallback(): void {
    window.removeEventListener('message', this.#onMessage);
    document.removeEventListener('keydown', this.#onKey, true);
    this.#frame = null;
  }

  readonly #onMessage = (event: MessageEvent): void => {
    // Another frame of the page, or a page that took the sidebar's place, has no say.
    if (event.origin !== this.#origin || event.source !== this.#frame?.contentWindow) return;
    const message = readMessage<FromFrame>(event.data);
    if (message === null) return;
    switch (message.type) {
      case 'ready':
        this.#keys = { ...DEFAULT_KEYS, ...message.keys };
        this.#tell({
          pangting: VERSION,
          type: 'hello',
          ...this.#attribute('language'),
          ...this.#attribute('theme'),
        });
        break;
      case 'token_wanted':
        void this.#giveToken();
        break;
      case 'focus_back':
        // The frame first gives up the keyboard, then the field has it again.
        window.focus();
        this.#before?.focus();
        this.#before = null;
        break;
      default: {
        const { pangting: _, type, ...detail } = message;
        this.dispatchEvent(new CustomEvent(`pangting-${type.replace('_', '-')}`, { detail, bubbles: true }));
      }
    }
  };

  readonly #onKey = (event: KeyboardEvent): void => {
    if (event.isComposing || event.defaultPrevented) return;
    const chord = chordOf(event);
    // A plain character is text to whoever types in the host page.
    if (chord === null || isPlain(chord)) return;
    const action = actionOf(chord, this.#keys);
    if (action === null) return;
    event.preventDefault();
    event.stopPropagation();
    if (TYPING.includes(action)) {
      this.#before = document.activeElement instanceof HTMLElement ? document.activeElement : null;
      this.#frame?.focus();
    }
    this.#tell({ pangting: VERSION, type: 'chord', action });
  };

  async #giveToken(): Promise<void> {
    if (this.token === null) return;
    try {
      this.#tell({ pangting: VERSION, type: 'token', token: await this.token() });
    } catch {
      // The frame offers its own sign-in after a moment.
    }
  }

  #attribute(name: 'language' | 'theme'): { [key in 'language' | 'theme']?: string } {
    const value = this.getAttribute(name);
    return value === null ? {} : { [name]: value };
  }

  /** Only ever to the sidebar's own origin: whatever else may stand in the frame hears nothing. */
  #tell(message: FromHost): void {
    this.#frame?.contentWindow?.postMessage(message, this.#origin);
  }
}

if (!customElements.get('pangting-sidebar')) customElements.define('pangting-sidebar', PangtingSidebar);
