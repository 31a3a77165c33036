//! What the program promises, over real sockets and real files: one file for each behaviour.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "what does not hold in a test is to end it, in its helpers too"
)]

mod architecture;
mod check_online;
mod check_setup;
mod config_check;
mod config_files;
mod config_problems;
mod config_secrecy;
mod daemon;
mod daemon_again;
mod delivery_attempt;
mod delivery_bad_receivers;
mod delivery_batches;
mod delivery_breaker;
mod delivery_dispatch;
mod delivery_harness;
mod delivery_history;
mod delivery_manual;
mod delivery_proxy;
mod delivery_settle;
mod deploy_alerts;
mod deploy_dashboards;
mod deploy_files;
mod deploy_prometheus;
mod deploy_promtool;
mod discreet;
mod event_schema;
mod format_guard;
mod format_judges;
mod format_names;
mod format_samples;
mod format_templates;
mod format_tls;
mod fuzz_corpus;
mod house;
mod kill;
mod kill_daemon;
mod meet_auth;
mod meet_errors;
mod meet_fake;
mod meet_lists;
mod meet_login;
mod meet_people;
mod meet_retry;
mod meet_secrecy;
mod meet_single_requests;
mod reload;
mod reload_process;
mod repair_api;
mod repair_command;
mod repair_daemon;
mod right;
mod serve_access;
mod serve_attendance;
mod serve_command;
mod serve_crowd;
mod serve_fuzz;
mod serve_keys;
mod serve_limits;
mod serve_metrics;
mod serve_openapi;
mod serve_schemathesis;
mod serve_socket;
mod serve_tls;
mod service;
mod sim_command;
mod sim_google_client;
mod sim_outside_clients;
mod sim_receiver;
mod sim_server;
mod sim_sign_in;
mod store_backup;
mod store_contract;
mod store_disk;
mod store_forget;
mod store_handle;
mod store_open;
mod store_retention;
mod store_samples;
mod store_stress;
mod webhook_receiver;
