/**
 * Daemons that tests start make no previews, unless a test is about them: the process that decodes takes more than most of
 * what tests do. Run before each test file for this effect, which daemons in processes of their own inherit.
 */
export const WITHOUT_PREVIEWS = { IMAGE_STORAGE_PREVIEWS_ENABLED: 'false' };
export const WITH_PREVIEWS = { IMAGE_STORAGE_PREVIEWS_ENABLED: 'true' };

Object.assign(process.env, WITHOUT_PREVIEWS);
