// A field for a query, which offers names of fields and their values while one types. Enter asks; only what was chosen with an arrow is taken by it.

import { useComputed, useSignal } from "@preact/signals";
import type { Ref } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { type Offer, offersFor } from "../lib/complete";
import { harmless } from "../lib/format";

interface Props {
  value: string;
  set: (text: string) => void;
  label?: string;
  placeholder: string;
  input?: Ref<HTMLInputElement>;
}

interface Shown {
  from: number;
  to: number;
  offers: Offer[];
}

export function QueryInput({ value, set, label, placeholder, input }: Props) {
  const own = useRef<HTMLInputElement | null>(null);
  const shown = useSignal<Shown | null>(null);
  const at = useSignal(-1);
  const asked = useRef(0);
  const id = useId();
  const isOpen = useComputed(() => (shown.value?.offers.length ?? 0) > 0).value;
  const close = (): void => {
    asked.current += 1;
    shown.value = null;
    at.value = -1;
  };
  const look = (): void => {
    const element = own.current;
    if (!element) return;
    const number = (asked.current += 1);
    void offersFor(element.value, element.selectionStart ?? element.value.length).then((of) => {
      // Answers to what stands there no more are none.
      if (asked.current !== number || document.activeElement !== element) return;
      shown.value = of;
      at.value = -1;
    });
  };
  const take = (offer: Offer): void => {
    const [of, element] = [shown.peek(), own.current];
    if (!of || !element) return;
    const text = `${element.value.slice(0, of.from)}${offer.text}${element.value.slice(of.to).trimStart()}`;
    const caret = of.from + offer.text.length;
    set(text);
    element.value = text;
    element.focus();
    element.setSelectionRange(caret, caret);
    close();
    // After a name come its values.
    if (offer.text.endsWith(":")) look();
  };
  // Of what does not fit the end is seen: a term that was added stands there.
  useLayoutEffect(() => {
    const element = own.current;
    if (element && document.activeElement !== element) element.scrollLeft = element.scrollWidth;
  }, [value]);
  return (
    <span class="query-input">
      <input
        ref={(element) => {
          own.current = element;
          if (typeof input === "function") input(element);
          else if (input) input.current = element;
        }}
        type="text"
        role="combobox"
        spellcheck={false}
        autocomplete="off"
        {...(label ? { "aria-label": label } : {})}
        aria-autocomplete="list"
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        aria-activedescendant={at.value >= 0 ? `${id}-${at.value}` : undefined}
        placeholder={placeholder}
        value={value}
        onInput={(event) => {
          set(event.currentTarget.value);
          look();
        }}
        onClick={() => own.current?.value === "" && look()}
        onBlur={close}
        onKeyDown={(event) => {
          const offers = shown.peek()?.offers ?? [];
          if (event.key === "ArrowDown" || event.key === "ArrowUp") {
            if (offers.length === 0) {
              look();
              return;
            }
            event.preventDefault();
            const by = event.key === "ArrowDown" ? 1 : -1;
            const places = offers.length + 1;
            at.value = ((at.peek() + 1 + by + places) % places) - 1;
          } else if ((event.key === "Enter" || event.key === "Tab") && at.peek() >= 0) {
            event.preventDefault();
            take(offers[at.peek()]!);
          } else if (event.key === "Escape" && offers.length > 0) {
            event.preventDefault();
            event.stopPropagation();
            close();
          } else if (event.key === "Escape") {
            // Keys are keys of the screen again.
            event.preventDefault();
            event.stopPropagation();
            event.currentTarget.blur();
          } else if (event.key === "Enter") close();
        }}
      />
      {isOpen && (
        <ul id={id} role="listbox" aria-label="Offers" class="offered">
          {shown.value!.offers.map((offer, number) => (
            <li
              key={offer.text}
              id={`${id}-${number}`}
              role="option"
              aria-selected={number === at.value}
              onPointerDown={(event) => {
                // The field keeps the focus.
                event.preventDefault();
                take(offer);
              }}
            >
              <code>{harmless(offer.text.trimEnd(), 80)}</code> <small>{offer.hint}</small>
            </li>
          ))}
        </ul>
      )}
    </span>
  );
}
