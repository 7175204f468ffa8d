import { useState } from 'preact/hooks';
import { signIn } from './requests.ts';

export function TokenForm({ onSignedIn }: { readonly onSignedIn: () => void }) {
  const [problem, setProblem] = useState<string>();
  const [token, setToken] = useState('');
  const submit = (event: Event) => {
    event.preventDefault();
    signIn(token).then(onSignedIn, (error: Error) => setProblem(error.message));
  };
  return (
    <form class="card token" onSubmit={submit}>
      <h2>Token</h2>
      <label for="token">This instance asks for its token, the value of SLUICE_API_TOKEN.</label>
      <div class="line">
        <input
          id="token"
          type="password"
          autocomplete="current-password"
          required
          value={token}
          onInput={({ currentTarget }) => setToken(currentTarget.value)}
          aria-describedby="token-problem"
        />
        <button class="primary">Open</button>
      </div>
      <p id="token-problem" class="trouble" role="alert">
        {problem}
      </p>
    </form>
  );
}
