// A form whose state is React's, not the fields': each input event draws all of it anew, and sending it empties it.
import { useState } from 'react';
import { flushSync } from 'react-dom';
import { createRoot } from 'react-dom/client';

const EMPTY = { email: '', news: false, ads: false };

function SignUp() {
  const [state, setState] = useState(EMPTY);
  const box = name => (
    <label>
      {name} <input name={name} type="checkbox" checked={state[name]} onChange={e => setState({ ...state, [name]: e.target.checked })} />
    </label>
  );
  return (
    <form id="signup" onSubmit={e => { e.preventDefault(); setState(EMPTY); }}>
      <label>
        email <input name="email" type="email" value={state.email} onChange={e => setState({ ...state, email: e.target.value })} />
      </label>
      {box('news')}
      {box('ads')}
      <button id="send">Sign up</button>
    </form>
  );
}

flushSync(() => createRoot(document.getElementById('root')).render(<SignUp />));
