DROP TABLE migration;
