/** Gives root up before a test file where tests run as root, as in containers: what needs no root is for ordinary users. */
import { inject } from 'vitest';

const user = inject('ordinaryUser');
if (user !== undefined && process.getuid!() === 0) {
  process.env.HOME = user.home;
  process.setgroups!([]);
  process.setgid!(user.id);
  process.setuid!(user.id);
}
