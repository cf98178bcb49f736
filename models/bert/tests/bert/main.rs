//! Folders of BERT as graphs and as answers: one program, since each costs a link.

mod graph_fixtures;
mod graph_structure;
mod graph_weights;
mod pipeline_predictions;
mod text_entities;
mod text_folder_refusals;
mod text_folders;
mod text_malformed;
mod text_tokenizer;
