import { useEffect, useState } from 'preact/hooks';

/** Where the page is, as the address bar has it behind `#`: `/connections?status=suspect`. */
export interface Place {
  readonly path: readonly string[];
  readonly filters: Readonly<Record<string, string>>;
}

function read(): Place {
  const [path = '', search = ''] = location.hash.replace(/^#\/?/, '').split('?');
  return {
    path: path.split('/').filter(Boolean).map(decode),
    filters: Object.fromEntries(new URLSearchParams(search)),
  };
}

/** An address that somebody has typed may be no proper one. */
function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

export function usePlace(): Place {
  const [place, setPlace] = useState(read);
  useEffect(() => {
    const look = (): void => setPlace(read());
    addEventListener('hashchange', look);
    return () => removeEventListener('hashchange', look);
  }, []);
  return place;
}

export function goTo(href: string): void {
  location.hash = href.replace(/^#/, '');
}
