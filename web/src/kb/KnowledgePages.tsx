// Which page of the knowledge console stands under a path.
import type { ComponentChildren } from 'preact';
import { EditorPage } from './EditorPage.tsx';
import { GapsPage } from './GapsPage.tsx';
import { GraphPage } from './GraphPage.tsx';
import { ImportPage } from './Import.tsx';
import { ListPage } from './ListPage.tsx';
import { ReviewPage } from './ReviewPage.tsx';
import { SearchPage } from './SearchPage.tsx';
import { UsePage } from './UsePage.tsx';
import './kb.css';

/** Null when the path is none of the console's. */
export function knowledgePage(path: string, language: string): ComponentChildren {
  if (path === '/kb') return <ListPage />;
  if (path === '/kb/import') return <ImportPage />;
  if (path === '/kb/review') return <ReviewPage />;
  if (path === '/kb/search') return <SearchPage />;
  if (path === '/kb/graph') return <GraphPage />;
  if (path === '/kb/gaps') return <GapsPage />;
  if (path === '/kb/use') return <UsePage />;
  if (path === '/kb/new') return <EditorPage key="new" id={null} language={language} />;
  const article = /^\/kb\/articles\/(zh|en)\/([^/]+)$/.exec(path);
  if (article === null) return null;
  return <EditorPage key={path} id={decodeURIComponent(article[2] ?? '')} language={article[1] ?? 'zh'} />;
}
